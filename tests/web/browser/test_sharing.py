"""Links, fragments, history, exports, failures and life without the service."""

import json
from typing import Any

import pytest

from .conftest import PageMaker
from .waiting import hold, kept, settle, until

pytestmark = pytest.mark.browser

CONFIG = {
    "model_type": "llama",
    "hidden_size": 512,
    "intermediate_size": 1024,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "torch_dtype": "bfloat16",
}
LINK = (
    "/?mode=fine-tuning&model_name=Qwen3-8B&gpu=rtx-4090&method=lora&lora.rank=64"
    "&lora.target_modules=q_proj,v_proj&unit=GiB&view=layout"
)


def bodies_of(page: Any) -> list[Any]:
    """What the page asks from now on."""
    asked: list[Any] = []
    page.on("request", lambda request: "/api/memory/" in request.url and asked.append(request.post_data_json))
    return asked


def test_a_link_asks_the_same_in_another_browser(open_page: PageMaker, address: str) -> None:
    first = open_page(LINK)
    asked = bodies_of(first)
    first.fill("#f-batch_size", "3")
    first.wait_for_url("**batch_size=3**")
    second = open_page("/")
    again = bodies_of(second)
    second.goto(first.url)
    second.wait_for_selector('[data-key="layout"]')
    settle(second)
    body = next(each for each in asked if each.get("batch_size") == 3)
    assert body["lora"] == {"rank": 64, "target_modules": ["q_proj", "v_proj"]}
    rendered = json.loads(second.evaluate("document.getElementById('boot').textContent"))["first"]["request"]
    assert body in again or rendered == {key: value for key, value in body.items() if key != "unit"}
    assert "GiB" in second.inner_text(".legend")


def test_back_and_forward(open_page: PageMaker) -> None:
    page = open_page()
    page.click('[data-act="mode"][data-arg="training"]')
    page.wait_for_selector("#figure-timeline")
    page.go_back()
    page.wait_for_selector("text=KV cache")
    page.go_forward()
    page.wait_for_selector("#figure-timeline")


def test_an_unknown_key_is_named_kept_and_not_sent(open_page: PageMaker) -> None:
    page = open_page("/?mode=inference&model_name=Qwen3-8B&gpu=rtx-4090&nonsense=1")
    asked = bodies_of(page)
    page.fill("#f-batch_size", "2")
    page.wait_for_url("**nonsense=1**")
    assert "nonsense" in page.inner_text(".notes")
    assert all("nonsense" not in json.dumps(each) for each in asked)


def test_a_pasted_configuration_stays_out_of_the_page_s_requests(open_page: PageMaker) -> None:
    page = open_page()
    page.click("#pick-model")
    page.click('[data-act="model-tab"][data-arg="paste"]')
    page.fill("#config-text", json.dumps({"model_type": "no_such_thing"}))
    page.wait_for_selector(".dialog-body .problem")
    page.fill("#config-text", json.dumps(CONFIG))
    page.click('[data-act="use-config"]')
    page.wait_for_url("**#c=**")
    lines: list[str] = []
    page.on("request", lambda request: lines.append(request.url))
    page.reload()
    page.wait_for_selector("h1[data-state]")
    settle(page)
    assert "config.json" in page.inner_text("#pick-model")
    assert all("hidden_size" not in line.split("#")[0] for line in lines)


def test_pickers_search_and_filter(open_page: PageMaker) -> None:
    page = open_page()
    page.keyboard.press("m")
    page.fill("#model-words", "qwen3 0.6b")
    page.wait_for_selector('[data-arg="Qwen3-0.6B"]')
    page.keyboard.press("Enter")
    page.wait_for_url("**model_name=Qwen3-0.6B**")
    page.keyboard.press("g")
    page.wait_for_selector("#card-list [role=option]")
    page.fill("#card-words", "rtx 3090")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url("**gpu=rtx-3090**")
    page.keyboard.press("g")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog[open]", state="detached")
    assert "gpu=rtx-3090" in page.url


def test_keys_are_not_lost_while_a_dialog_closes(open_page: PageMaker) -> None:
    page = open_page()
    # All within one task: nothing that the browser does in between may be needed.
    told = page.evaluate(
        """() => {
          const press = key => (document.activeElement ?? document.body).dispatchEvent(
            new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
          const title = () => document.querySelector("#dialog-title")?.textContent ?? "";
          const told = [];
          for (const key of ["m", "Escape", "g", "Escape", "h", "Escape", "m"]) {
            press(key);
            told.push(title());
          }
          return told;
        }"""
    )
    assert told == ["Choose a model", "", "Choose a GPU", "", "History", "", "Choose a model"]
    page.wait_for_selector("#model-list [role=option]")  # no late event has emptied it
    assert page.evaluate("document.activeElement.id") == "model-words"


def test_a_choice_survives_what_comes_in_late(open_page: PageMaker) -> None:
    page = open_page()
    settle(page)
    held = hold(page, "**/api/memory/compare")
    page.keyboard.press("g")
    page.wait_for_selector("#card-list [role=option] >> nth=5")
    until(page, lambda: len(held) == 1)
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    chosen = page.get_attribute('#card-list [aria-selected="true"]', "data-arg")
    held[0].continue_()
    page.wait_for_selector("#card-list .pill.fits")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**gpu={chosen}**")


def test_enter_waits_for_a_list_that_is_not_there_yet(open_page: PageMaker) -> None:
    page = open_page()
    held = hold(page, "**/api/models")
    page.keyboard.press("m")
    page.fill("#model-words", "qwen3 0.6b")
    page.keyboard.press("Enter")
    until(page, lambda: len(held) == 1)
    held[0].continue_()
    page.wait_for_url("**model_name=Qwen3-0.6B**")


def test_what_is_typed_survives_what_comes_in_late(open_page: PageMaker) -> None:
    page = open_page()
    settle(page)
    page.keyboard.press("g")
    page.click('[data-act="card-custom"]')
    page.fill('[name="gpu.memory_gb"]', "33")
    page.fill('[name="gpu.memory_bandwidth_gb_s"]', "900")
    page.evaluate("dispatchEvent(new Event('online'))")  # asks and draws anew
    settle(page)
    assert page.input_value('[name="gpu.memory_gb"]') == "33"
    page.click('[data-act="use-card"]')
    page.wait_for_url("**gpu.memory_gb=33**")


def test_what_was_typed_before_the_scripts_came_counts(open_page: PageMaker, address: str) -> None:
    page = open_page()
    held = hold(page, "**/js/main.js")
    page.goto(address, wait_until="commit")
    page.fill("#plain-batch_size", "5")
    until(page, lambda: bool(held))
    held[0].continue_()
    page.wait_for_url("**batch_size=5**")
    assert page.input_value("#f-batch_size") == "5"
    assert page.evaluate("document.activeElement.id") == "f-batch_size"


def test_a_hub_id_offline_offers_to_paste(open_page: PageMaker) -> None:
    page = open_page()
    page.click("#pick-model")
    page.click('[data-act="model-tab"][data-arg="hub"]')
    page.fill("#hub-id", "nobody/nothing")
    page.click('[data-act="hub-model"]')
    page.click('.problem [data-arg="paste"]')
    assert page.locator("#config-text").is_visible()


def test_history_is_kept_searched_compared_and_deleted(open_page: PageMaker) -> None:
    page = open_page("/?mode=inference&model_name=Qwen3-8B&gpu=rtx-4090")
    kept(page, 1)
    page.fill("#f-batch_size", "7")
    kept(page, 2)
    page.click("#tool-history")
    page.wait_for_selector(".row >> nth=1")
    assert page.locator(".row").count() == 2
    page.fill("#history-words", "no such thing")
    page.wait_for_selector(".row", state="detached")
    page.fill("#history-words", "qwen3 4090")
    page.wait_for_selector(".row >> nth=1")
    for box in page.locator('.row input[type="checkbox"]').all():
        box.check()
    with page.expect_download() as download:
        page.click('[data-act="history-export"]')
    assert len(json.loads(download.value.path().read_text())["entries"]) == 2
    page.click('[data-act="history-compare"]')
    page.wait_for_selector(".column >> nth=1")
    page.click("#tool-history")
    page.click('[data-act="history-clear"]')
    page.wait_for_function("() => !document.querySelector('.row')")
    page.set_input_files('[data-input="history-import"]', download.value.path())
    page.wait_for_selector(".row >> nth=1")


@pytest.mark.parametrize("kind", ["svg", "png", "csv", "json", "markdown"])
def test_exports_hold_what_is_shown(open_page: PageMaker, kind: str) -> None:
    page = open_page("/?mode=inference&model_name=Qwen3-8B&gpu=rtx-4090&batch_size=2")
    settle(page)
    total = page.locator(".legend tfoot td").first.inner_text()
    weights = page.locator(".legend tbody td[title]").first.get_attribute("title")
    page.keyboard.press("e")
    with page.expect_download() as download:
        page.click(f'[data-arg="{kind}"]')
    content = download.value.path().read_bytes()
    if kind == "png":
        assert content.startswith(b"\x89PNG")
    else:
        assert (weights if kind in ("csv", "json") else total.split()[0]).encode() in content
    if kind == "svg":
        assert b"var(--" not in content
        assert b"light-dark" not in content


def test_a_failure_keeps_the_answer_says_why_and_tries_again(open_page: PageMaker) -> None:
    page = open_page("/?mode=inference&model_name=Qwen3-8B&gpu=rtx-4090")
    before = page.inner_text("h1")
    failing = {"on": True}

    def fail(route: Any) -> None:
        if failing["on"]:
            error = {"error": "Broken for a while.", "code": "internal_error", "status": 500, "details": []}
            route.fulfill(status=500, json=error | {"request_id": "r1"})
        else:
            route.continue_()

    page.route("**/api/memory/inference", fail)
    page.fill("#f-batch_size", "9")
    page.wait_for_selector(".stale")
    assert page.inner_text("h1") == before
    assert "Broken for a while." in page.inner_text(".stale")
    assert "r1" in page.inner_text(".stale")
    failing["on"] = False
    page.wait_for_selector(".stale", state="detached")
    assert page.inner_text("h1") != before


def test_offline_it_opens_and_shows_what_was_saved(open_page: PageMaker) -> None:
    path = "/?mode=inference&model_name=Qwen3-8B&gpu=rtx-4090&batch_size=3"
    page = open_page(path, service_workers="allow")
    page.wait_for_function("() => navigator.serviceWorker.controller")
    answer = page.inner_text("h1")
    kept(page, 1)
    page.context.set_offline(True)
    page.reload()
    page.wait_for_selector("h1[data-state]")
    page.wait_for_selector(".stale")
    assert page.inner_text("h1") == answer
    page.wait_for_selector('#strip [data-key="offline"]')
    assert "Saved answer" in page.inner_text(".stale")
    page.click("#tool-history")
    page.wait_for_selector(".row")
    page.keyboard.press("Escape")
    page.context.set_offline(False)
    page.wait_for_selector(".stale", state="detached")
    page.wait_for_selector("#strip .strip", state="detached")


def test_without_scripts_there_is_an_answer_and_a_form(chromium: Any, address: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    page.fill('[name="batch_size"]', "16")
    page.click('button[type="submit"]')
    assert "batch_size=16" in page.url
    assert "GB" in page.inner_text("h1")
    context.close()
