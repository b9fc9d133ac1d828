"""Ways of asking: the body as JSON, counts that work, keys of one's own, models in columns, short links."""

import json
from typing import Any

import pytest

from .conftest import PageMaker
from .waiting import settle

pytestmark = pytest.mark.browser

ONE_CARD = "/?mode=inference&model_name=Qwen3-8B&gpu=rtx-4090&batch_size=4&sequence_length=4096"


def copied(page: Any) -> str:
    """What the page has put on the clipboard."""
    return str(page.evaluate("() => navigator.clipboard.readText()"))


def test_the_body_can_be_edited_and_pasted(open_page: PageMaker) -> None:
    page = open_page(ONE_CARD)
    page.click('[data-act="body"]')
    now = json.loads(page.input_value("#body-text"))
    assert now == {"model_name": "Qwen3-8B", "gpu": "rtx-4090", "batch_size": 4, "sequence_length": 4096}
    page.fill("#body-text", "{")
    page.click('[data-act="use-body"]')
    page.wait_for_selector(".dialog-body .problem")
    page.fill("#body-text", json.dumps(now | {"nonsense": 1}))
    page.click('[data-act="use-body"]')
    page.wait_for_selector(".dialog-body .problem >> text=nonsense")
    pasted = {"model_name": "Qwen3-0.6B", "method": "qlora", "lora": {"rank": 8}, "gpu": {"name": "rtx-3090"}}
    page.fill("#body-text", json.dumps(pasted))
    page.click('[data-act="use-body"]')
    page.wait_for_url("**mode=fine-tuning**")
    for pair in ("lora.rank=8", "gpu=rtx-3090", "model_name=Qwen3-0.6B"):
        assert pair in page.url
    page.wait_for_selector("#figure-timeline")


def test_a_body_of_many_configurations_is_a_comparison(open_page: PageMaker) -> None:
    page = open_page(ONE_CARD)
    page.keyboard.press("j")
    base = {"model_name": "Qwen3-8B", "gpu": "rtx-4090"}
    asked = [{**base, "batch_size": 2**size} for size in range(8)]
    page.fill(
        "#body-text", json.dumps({"calculation_type": "inference", "configurations": [base, *asked[1:]]})
    )
    page.click('[data-act="use-body"]')
    page.wait_for_selector("#compare-table tbody tr >> nth=7")
    assert "h.batch_size=128" in page.url


def test_counts_that_work_are_offered(open_page: PageMaker) -> None:
    page = open_page(ONE_CARD)
    page.fill("#f-tensor_parallel", "3")
    page.wait_for_selector("#p-tensor_parallel button >> nth=1")
    offered = page.locator("#p-tensor_parallel button")
    assert offered.all_inner_texts() == ["2", "4"]
    offered.nth(1).click()
    page.wait_for_url("**tensor_parallel=4**")
    page.wait_for_selector("#p-tensor_parallel", state="detached")
    settle(page)
    assert page.locator(".stale").count() == 0


def test_a_key_can_be_given_away_and_back(open_page: PageMaker) -> None:
    page = open_page()
    page.keyboard.press("?")
    page.click('[data-act="give-key"][data-arg="history"]')
    page.keyboard.press("g")
    page.wait_for_selector('[data-arg="gpu"] kbd >> text=h')  # the two have changed places
    page.keyboard.press("Escape")
    page.reload()
    page.wait_for_selector("h1[data-state]")
    page.keyboard.press("g")
    page.wait_for_selector("#history-words")
    page.keyboard.press("Escape")
    page.keyboard.press("h")
    page.wait_for_selector("#card-words")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.click('[data-act="keys-usual"]')
    page.wait_for_selector('[data-arg="gpu"] kbd >> text=g')


def test_models_say_what_is_active_and_how_long(open_page: PageMaker) -> None:
    page = open_page()
    page.keyboard.press("m")
    page.fill("#model-words", "qwen3-30b-a3b")
    row = page.locator('#model-list [data-arg="Qwen3-30B-A3B"]')
    row.locator("text=3.35B active").wait_for()
    text = row.inner_text()
    assert "context 40,960" in text
    assert "98,304 B a token" in text


def test_experts_are_shared_out_by_letter(open_page: PageMaker) -> None:
    path = "/?mode=inference&model_name=Qwen3-30B-A3B&gpu=h20-96gb&view=layout"
    page = open_page(f"{path}&tensor_parallel=2&data_parallel=4&expert_parallel=4")
    settle(page)
    letters = page.locator("#figure-layout .expert-letter").all_text_contents()
    assert letters == ["A"] * 4 + ["B"] * 4
    assert "groups of 4 GPUs" in page.inner_text("#figure-layout figcaption")


def test_share_copies_a_link_and_makes_it_short(open_page: PageMaker) -> None:
    page = open_page(ONE_CARD, permissions=["clipboard-read", "clipboard-write"])
    settle(page)
    page.keyboard.press("s")
    page.wait_for_selector('[data-key="toast"]')
    assert "backend_version=" in copied(page)
    page.click('[data-act="share-short"]')
    page.wait_for_selector('[data-key="toast"] >> text=Short link')
    short = copied(page)
    assert "/s/" in short and len(short) < 80
    page.goto(short)
    page.wait_for_selector("h1[data-state]")
    for pair in ("model_name=Qwen3-8B", "batch_size=4", "backend_version="):
        assert pair in page.url


def test_a_refused_share_leaves_the_long_link(open_page: PageMaker) -> None:
    page = open_page(ONE_CARD, permissions=["clipboard-read", "clipboard-write"])
    refusal = {"error": "Not for strangers.", "code": "forbidden", "status": 403, "details": []}
    page.route("**/api/shares", lambda route: route.fulfill(status=403, json=refusal))
    page.keyboard.press("s")
    page.click('[data-act="share-short"]')
    page.wait_for_selector('[data-key="toast"] >> text=Not for strangers.')
    assert "model_name=Qwen3-8B" in copied(page)


def test_a_note_takes_several_lines(open_page: PageMaker) -> None:
    page = open_page(ONE_CARD)
    page.click("#tool-history")
    page.fill(".row .note", "first\nsecond")
    page.press(".row .note", "Tab")
    page.keyboard.press("Escape")
    page.click("#tool-history")
    page.wait_for_selector(".row")
    assert page.input_value(".row .note") == "first\nsecond"
    page.fill("#history-words", "second")
    page.wait_for_selector(".row")
