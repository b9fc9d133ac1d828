"""What lasts: nothing leaks over many changes, a new version waits for a reload, paper shows the answer."""

import re
from typing import Any

import pytest

from app.web import files

from .conftest import PageMaker
from .waiting import hold, settle, until

pytestmark = pytest.mark.browser

ONE_CARD = "/?mode=inference&model_name=Qwen3-8B&gpu=rtx-4090&batch_size=4&sequence_length=4096"
CHANGES = 200
DIALOGS = 60


def held_bytes(page: Any, session: Any) -> tuple[int, int]:
    """Bytes that scripts hold after collections, and nodes in the document."""
    settle(page)
    for _ in range(2):
        session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")["usedSize"]
    return int(used), int(page.evaluate("document.querySelectorAll('*').length"))


def change_often(page: Any, times: int) -> None:
    """Slide the length back and forth, as fast as frames come."""
    page.evaluate(
        """async times => {
          const slider = document.querySelector('input[type="range"][data-arg="sequence_length"]');
          for (let step = 0; step < times; step += 1) {
            slider.value = String(300 + (step * 13) % 400);
            slider.dispatchEvent(new Event("input", {bubbles: true}));
            await new Promise(resolve => requestAnimationFrame(resolve));
          }
        }""",
        times,
    )


def test_many_changes_leave_nothing_behind(open_page: PageMaker) -> None:
    page = open_page(ONE_CARD)
    session = page.context.new_cdp_session(page)
    change_often(page, 20)
    before, nodes = held_bytes(page, session)
    change_often(page, CHANGES)
    after, more = held_bytes(page, session)
    assert after - before < 2_000_000
    assert more < nodes * 1.2


def test_opening_and_closing_leaves_nothing_behind(open_page: PageMaker) -> None:
    page = open_page(ONE_CARD)
    session = page.context.new_cdp_session(page)
    settle(page)
    cycle = """async times => {
      const press = key => document.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
      for (let step = 0; step < times; step += 1) {
        press(["m", "g", "h", "e", "?"][step % 5]);
        await new Promise(resolve => requestAnimationFrame(resolve));
        press("Escape");
        await new Promise(resolve => requestAnimationFrame(resolve));
      }
    }"""
    page.evaluate(cycle, 10)
    before, nodes = held_bytes(page, session)
    page.evaluate(cycle, DIALOGS)
    after, more = held_bytes(page, session)
    assert page.locator("dialog[open]").count() == 0
    assert after - before < 2_000_000
    assert more < nodes * 1.2


def test_a_change_draws_only_what_it_changes(open_page: PageMaker) -> None:
    page = open_page(ONE_CARD)
    settle(page)
    asked: list[str] = []
    page.on("request", lambda request: "/api/" in request.url and asked.append(request.url.split("/api/")[1]))
    page.evaluate("document.querySelector('#rail').dataset.mark = 'kept'")
    marks = "document.querySelectorAll('#result > *').forEach(each => { each.mark = true; })"
    page.evaluate(marks)
    page.fill("#f-batch_size", "5")
    settle(page)
    assert page.evaluate("[...document.querySelectorAll('#result > *')].every(each => each.mark)")
    # One question each for memory and speed; curves and fixes one call each, whatever the number of points.
    assert sorted(set(asked)) == sorted(asked) or asked.count("memory/compare") == 2
    assert len(asked) <= 5


def test_a_new_version_is_offered_and_not_forced(
    open_page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page(ONE_CARD, service_workers="allow")
    page.wait_for_function("() => navigator.serviceWorker.controller")
    page.reload()
    page.wait_for_selector("h1[data-state]")

    monkeypatch.setattr(files, "build", lambda: "newer")
    page.evaluate("document.body.dataset.mark = 'same document'")
    page.evaluate("navigator.serviceWorker.getRegistration().then(found => found.update())")
    page.wait_for_selector('[data-key="update"]')
    assert page.evaluate("document.body.dataset.mark") == "same document"
    assert "newer" in page.evaluate("caches.keys()")
    page.click('[data-act="reload"]')
    page.wait_for_function("() => !document.body.dataset.mark")
    page.wait_for_selector("h1[data-state]")
    assert page.locator('[data-key="update"]').count() == 0


def test_paper_holds_the_answer_and_its_link(open_page: PageMaker) -> None:
    page = open_page("/?mode=training", color_scheme="dark", viewport={"width": 900, "height": 1200})
    settle(page)
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for gone in (".rail", "#tools", ".modes", ".tabs"):
        assert not page.locator(gone).first.is_visible(), gone
    for shown in ("h1", "#figure-memory svg", "#figure-timeline svg", "#why .formula", "#permalink"):
        assert page.locator(shown).first.is_visible(), shown
    assert page.inner_text("#permalink") == page.url
    document = page.pdf()
    assert document.startswith(b"%PDF")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", document)) <= 4


def test_a_retry_asks_what_the_state_is_then(open_page: PageMaker) -> None:
    page = open_page(ONE_CARD)
    settle(page)
    held = hold(page, "**/api/memory/inference")
    page.fill("#f-batch_size", "6")
    until(page, lambda: len(held) == 1)
    held[0].abort()
    page.wait_for_selector(".stale")
    page.fill("#f-batch_size", "7")
    until(page, lambda: held[-1].request.post_data_json["batch_size"] == 7)
    held[-1].continue_()
    page.wait_for_selector(".stale", state="detached")
