"""Each mode answers: verdict, pictures whose sizes are the bytes, presets, controls, fixes."""

import json
import re
from contextlib import suppress
from typing import Any
from urllib.parse import urljoin

import pytest

from app.web.first import presets

from .conftest import PageMaker
from .waiting import hold, settle, until

pytestmark = pytest.mark.browser

ONE_CARD = "/?mode=inference&model_name=Qwen3-8B&gpu=rtx-4090&batch_size=4&sequence_length=4096"


def asked_directly(page: Any, **fields: Any) -> Any:
    """What the API itself answers to the question of `ONE_CARD` with some fields changed."""
    body = {"model_name": "Qwen3-8B", "gpu": "rtx-4090", "batch_size": 4, "sequence_length": 4096, **fields}
    return page.request.post(urljoin(page.url, "/api/memory/inference"), data=body).json()


@pytest.mark.parametrize("mode", ["inference", "training", "fine-tuning"])
def test_the_bar_shows_the_bytes(open_page: PageMaker, mode: str) -> None:
    page = open_page(f"/?mode={mode}")
    settle(page)
    bars = page.eval_on_selector_all(
        "#figure-memory .bar rect.part", "all => all.map(e => [+e.dataset.bytes, +e.getAttribute('width')])"
    )
    largest, wide = max(bars)
    per_pixel = largest / (wide + 2)  # parts stand two pixels apart
    for size, width in bars:
        assert abs(width + 2 - size / per_pixel) < 1 or width == 0
    legend = page.eval_on_selector_all(".legend tbody td[title]", "all => all.map(e => +e.title)")
    assert sum(legend) == sum(size for size, _ in bars)
    assert page.inner_text("h1").strip()


def test_every_preset_is_answered(open_page: PageMaker) -> None:
    page = open_page()
    for preset in presets():
        page.keyboard.press("Control+k")
        page.wait_for_selector("#preset-list")
        settle(page)
        choice = page.locator(f'[data-act="take-preset"][data-arg="{preset["id"]}"]')
        if choice.count() == 0:  # what the service does not compute yet is not offered
            page.keyboard.press("Escape")
            continue
        choice.click()
        settle(page)
        assert page.locator(".stale").count() == 0, preset["id"]
        if preset["mode"] != "compare":
            assert f"model_name={preset['body']['model_name']}" in page.url


def test_a_change_answers_without_a_button(open_page: PageMaker) -> None:
    page = open_page(ONE_CARD)
    before = page.inner_text("h1")
    page.fill("#f-sequence_length", "16k")
    page.wait_for_function("before => document.querySelector('h1').innerText !== before", arg=before)
    assert "sequence_length=16384" in page.url or page.wait_for_url("**sequence_length=16384**") is None


def test_the_last_of_quick_changes_wins(open_page: PageMaker) -> None:
    page = open_page(ONE_CARD)
    settle(page)
    held = hold(page, "**/api/memory/inference")
    page.fill("#f-batch_size", "64")
    until(page, lambda: len(held) == 1)
    page.fill("#f-batch_size", "8")
    until(page, lambda: len(held) == 2)
    with suppress(Exception):  # the page may have given it up already
        held[0].continue_()
    held[1].continue_()
    settle(page)
    page.unroute("**/api/memory/inference")
    body = asked_directly(page, batch_size=8)
    assert body["memory_requirements"]["kv_cache"] in page.inner_text(".legend")


def test_a_wrong_value_lands_on_its_field(open_page: PageMaker) -> None:
    page = open_page("/?mode=inference&model_name=Qwen3-8B&gpu=rtx-4090&tensor_parallel=3", answered=False)
    page.wait_for_selector("#p-tensor_parallel")
    assert page.get_attribute("#f-tensor_parallel", "aria-invalid") == "true"
    assert page.get_attribute("#f-tensor_parallel", "aria-describedby") == "p-tensor_parallel"
    page.fill("#f-tensor_parallel", "2")
    page.wait_for_selector("h1[data-state]")
    assert page.locator("#p-tensor_parallel").count() == 0


def test_the_closest_name_is_a_button(open_page: PageMaker) -> None:
    page = open_page("/?mode=inference&model_name=Qwen3-8Bx&gpu=rtx-4090", answered=False)
    page.click("#p-model_name button >> nth=0")
    page.wait_for_selector("h1[data-state]")
    assert "Qwen3-8B" in page.inner_text("#pick-model")


STUBS = {
    "fits": (20, 19, 21, "✔"),
    "tight": (23, 22, 25, "▲"),
    "over": (30, 29, 31, "✖"),
}


@pytest.mark.parametrize("state", [*STUBS, "unknown"])
def test_states_have_word_and_shape(open_page: PageMaker, state: str) -> None:
    page = open_page(ONE_CARD)

    def stub(route: Any) -> None:
        answer = route.fetch().json()
        total, low, high, _ = STUBS.get(state, (20, 19, 21, ""))
        answer["memory_bytes"]["inference_memory"] = total * 10**9
        answer["memory_range_bytes"]["inference_memory"] = {"low": low * 10**9, "high": high * 10**9}
        free = (24 - total) * 10**9
        answer["fit"] |= {"budget_bytes": 24 * 10**9, "free_bytes": free, "fits": free >= 0}
        if state == "unknown":
            del answer["fit"]
        route.fulfill(status=200, content_type="application/json", body=json.dumps(answer))

    page.route("**/api/memory/inference", stub)
    page.fill("#f-batch_size", "5")
    page.wait_for_selector(f'h1[data-state="{state}"]')
    assert page.inner_text("h1").startswith(STUBS.get(state, (0, 0, 0, "○"))[3])


def test_the_whisker_and_the_reserved_part_are_to_scale(open_page: PageMaker) -> None:
    page = open_page(ONE_CARD)
    answer = asked_directly(page, batch_size=4)
    chart = page.locator("#figure-memory .bar svg")
    width = float(chart.get_attribute("width"))
    spread = answer["memory_range_bytes"]["inference_memory"]
    scale = width / (max(answer["fit"]["usable_bytes"], spread["high"]) * 1.04)
    numbers = [float(each) for each in re.findall(r"[\d.]+", chart.locator(".whisker").get_attribute("d"))]
    assert abs(numbers[0] - spread["low"] * scale) < 1
    assert any(abs(each - spread["high"] * scale) < 1 for each in numbers)
    reserved = float(chart.locator(".reserved").get_attribute("width"))
    assert abs(reserved - answer["fit"]["free_bytes"] * scale) < 1


def test_the_timeline_names_its_peak(open_page: PageMaker) -> None:
    page = open_page("/?mode=training")
    settle(page)
    assert "peak: loss" in page.locator("#figure-timeline svg").text_content()
    scrubber = page.locator('#figure-timeline input[type="range"]')
    scrubber.focus()
    page.keyboard.press("ArrowRight")
    said = "() => document.querySelector('#figure-timeline input').ariaValueText"
    page.wait_for_function(f"{said}.startsWith('backward')")


def test_a_curve_is_one_request_and_its_points_set_the_control(open_page: PageMaker) -> None:
    page = open_page(ONE_CARD)
    settle(page)
    asked: list[Any] = []
    memory = "memory/compare"
    page.on("request", lambda request: memory in request.url and asked.append(request.post_data_json))
    page.click('[data-act="axis"][data-arg="batch_size"]')
    page.wait_for_selector('#figure-curve [data-arg="batch_size=1"]')
    curve = [each for each in asked if len({one["batch_size"] for one in each["configurations"]}) > 5]
    assert len(curve) == 1
    assert len(curve[0]["configurations"]) <= 24
    page.click('#figure-curve circle[data-arg="batch_size=1"]', force=True)
    page.wait_for_url("**batch_size=1**")


def test_a_fix_changes_what_it_says_and_can_be_undone(open_page: PageMaker) -> None:
    page = open_page("/?mode=inference&model_name=Qwen3-8B&gpu=rtx-4090&batch_size=64&sequence_length=8192")
    page.wait_for_selector("#fix-list")
    button = page.locator("#fix-list button").first
    change = json.loads(button.get_attribute("data-arg"))
    button.click()
    page.wait_for_selector('h1[data-state="fits"], h1[data-state="tight"]')
    assert all(f"{key}={str(value).lower()}" in page.url for key, value in change.items())
    page.go_back()
    page.wait_for_selector('h1[data-state="over"]')


def test_compare_says_what_differs(open_page: PageMaker) -> None:
    base = "/?mode=compare&model_name=Qwen3-32B&gpu=H100-80GB&batch_size=4"
    page = open_page(f"{base}&b.quantization=fp8&c.quantization=awq")
    settle(page)
    assert page.locator(".column").count() == 3
    assert "−31." in page.locator('.column[data-key="B"]').inner_text()
    assert "A → C" in page.locator("#figure-differences").inner_text()
    page.click('[data-act="drop-column"][data-arg="0"]')
    page.wait_for_function("() => document.querySelectorAll('.column').length === 2")


def test_compare_can_be_looked_at_in_other_ways(open_page: PageMaker) -> None:
    base = "/?mode=compare&model_name=Qwen3-32B&gpu=H100-80GB&batch_size=4&tensor_parallel=2"
    page = open_page(f"{base}&b.quantization=fp8&c.sequence_length=65536")
    settle(page)

    def card_lines() -> list[str]:
        lines = page.locator(".column .card-line")
        return [lines.nth(index).get_attribute("x1") for index in range(lines.count())]

    def order() -> list[str]:
        return [str(each.get_attribute("data-key")) for each in page.locator(".column").all()]

    assert len(set(card_lines())) == 1, "one axis, so one place for the card"
    assert order() == ["A", "B", "C"]
    page.click('[data-arg="sort=size"]')
    page.wait_for_url("**sort=size**")
    assert order() == ["B", "A", "C"]
    page.click('[data-arg="over=cluster"]')
    page.wait_for_url("**over=cluster**")
    assert card_lines() == []
    page.click('[data-arg="show=difference"]')
    page.wait_for_selector('.column[data-key="B"] .saves')
    page.click('[data-act="base-column"][data-arg="0"]')
    page.wait_for_selector('.column[data-key="B"] .costs')
    assert "quantization=fp8" in page.url.replace("b.quantization", "")
    assert "b.quantization=&" in page.url, "what the base has and a column has not"
    page.reload()
    page.wait_for_selector('.column[data-key="B"] .costs')


def test_compared_trainings_lie_over_each_other(open_page: PageMaker) -> None:
    page = open_page(
        "/?mode=compare&calculation_type=training&model_name=Qwen3-0.6B&gpu=rtx-4090&b.batch_size=2"
    )
    settle(page)
    assert page.locator("#figure-timelines path.curve").count() == 2
    page.click('#figure-timelines [data-act="table"]')
    assert "loss" in page.inner_text("#figure-timelines table")


@pytest.mark.parametrize("view", ["layout", "gpus", "plan", "health"])
def test_each_view_shows_something(open_page: PageMaker, view: str) -> None:
    page = open_page(f"{ONE_CARD}&view={view}")
    settle(page)
    assert len(page.inner_text("#view")) > 20
    assert page.get_attribute(f"#tab-{view}", "aria-selected") == "true"


def test_a_part_under_the_pointer_stands_out_everywhere(open_page: PageMaker) -> None:
    page = open_page(ONE_CARD)
    settle(page)
    page.hover('.legend tr[data-key="kv_cache"]')
    faint = "() => getComputedStyle(document.querySelector('.bar .part.model_weights')).opacity === '0.35'"
    page.wait_for_function(faint)
    for place in (".bar .part.kv_cache", ".ring .arc.kv_cache"):
        assert page.locator(place).evaluate("each => getComputedStyle(each).opacity") == "1"
