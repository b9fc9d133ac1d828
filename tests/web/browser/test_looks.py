"""For everyone: keyboard alone, both themes, both languages, narrow to wide, nothing serious from axe."""

import re
from typing import Any

import pytest

from .conftest import PageMaker
from .waiting import settle

pytestmark = pytest.mark.browser

MODES = ("inference", "training", "fine-tuning", "compare")
DIALOGS = (
    "rail-body",
    "pick-model",
    "pick-gpu",
    "tool-presets",
    "tool-history",
    "tool-export",
    "tool-shortcuts",
)
RULES = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa']}"


def findings(page: Any, axe: str) -> list[str]:
    """What axe finds that is serious or worse."""
    page.evaluate(axe)
    found = page.evaluate(f"axe.run(document, {RULES})")["violations"]
    grave = [each for each in found if each["impact"] in ("serious", "critical")]
    return [f"{each['id']}: {each['nodes'][0]['target']}" for each in grave]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
@pytest.mark.parametrize("mode", MODES)
def test_axe_finds_nothing_serious(
    open_page: PageMaker, axe: str, mode: str, locale: str, scheme: str
) -> None:
    wide = {"width": 1440, "height": 900}
    page = open_page(f"/?mode={mode}", locale=locale, color_scheme=scheme, viewport=wide)
    settle(page)
    assert findings(page, axe) == []


@pytest.mark.parametrize("name", DIALOGS)
def test_axe_finds_nothing_serious_in_dialogs(open_page: PageMaker, axe: str, name: str) -> None:
    page = open_page()
    page.click(f"#{name}")
    settle(page)
    assert findings(page, axe) == []
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == name, "focus goes back"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", [320, 390, 768, 1280, 2560])
def test_no_width_scrolls_sideways(open_page: PageMaker, mode: str, width: int) -> None:
    page = open_page(f"/?mode={mode}", viewport={"width": width, "height": 844})
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_on_a_phone_the_controls_are_a_sheet(open_page: PageMaker) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True)
    assert not page.locator("#f-batch_size").is_visible()
    page.click("#handle")
    page.wait_for_selector("#f-batch_size", state="visible")
    page.fill("#f-batch_size", "3")
    page.click("#handle")
    page.wait_for_url("**batch_size=3**")
    small = page.eval_on_selector_all(
        "button:not(.undo)",
        "all => all.filter(e => e.offsetParent && e.offsetHeight < 24).map(e => e.outerHTML)",
    )
    assert small == []


@pytest.mark.parametrize("mode", ["inference", "training", "fine-tuning"])
def test_a_phone_shows_verdict_and_room_at_once(open_page: PageMaker, mode: str) -> None:
    page = open_page(f"/?mode={mode}", viewport={"width": 390, "height": 844}, has_touch=True)
    settle(page)
    box = page.locator("#room, [data-key=fixes]").first.bounding_box()
    assert box["y"] + box["height"] < 844 - 56  # above the handle
    assert page.locator("#verdict .mini svg").is_visible()


def test_chinese_leaves_no_english_sentence(open_page: PageMaker) -> None:
    page = open_page("/?mode=fine-tuning", locale="zh-CN")
    settle(page)
    assert page.get_attribute("html", "lang") == "zh-CN"
    text = page.inner_text(".verdict, .rail") + page.inner_text(".tabs")
    assert re.findall(r"\b[A-Za-z]{3,} [a-z]{2,} [a-z]{2,}\b", text) == []
    page.click("#tool-language")
    page.wait_for_function("() => document.documentElement.lang === 'en'")
    page.reload()
    assert page.get_attribute("html", "lang") == "en"


def test_the_theme_can_be_turned_and_is_kept(open_page: PageMaker) -> None:
    page = open_page(color_scheme="light")
    ground = "() => getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.keyboard.press("d")
    page.wait_for_selector("html[data-theme=dark]")
    assert page.evaluate(ground) != light
    page.reload()
    assert page.evaluate(ground) != light


def test_every_number_carries_the_unit_asked_for(open_page: PageMaker) -> None:
    page = open_page("/?mode=training")
    page.keyboard.press("b")
    page.wait_for_url("**unit=GiB**")
    settle(page)
    assert not re.search(r"\d GB\b", page.inner_text("#figure-memory") + page.inner_text("h1"))


def test_by_keyboard_alone(open_page: PageMaker) -> None:
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Control+k")
    page.keyboard.type("qlora 24")
    page.keyboard.press("Enter")
    page.wait_for_url("**mode=fine-tuning**")
    page.keyboard.press("1")
    page.wait_for_url("**mode=inference**")
    page.keyboard.press("u")
    page.keyboard.press("Control+a")
    page.keyboard.type("12")
    page.keyboard.press("Tab")
    page.wait_for_url("**batch_size=12**")
    page.keyboard.press("Escape")
    page.keyboard.press("]")
    page.wait_for_url("**batch_size=24**")
    page.keyboard.press("?")
    page.wait_for_selector(".keys")
    page.keyboard.press("Escape")
    page.keyboard.press("s")
    page.wait_for_selector('[data-key="toast"]')


def test_the_verdict_is_said_once_things_rest(open_page: PageMaker) -> None:
    page = open_page()
    page.wait_for_function("() => document.getElementById('live').textContent.includes('GB')")


def test_reduced_motion_and_forced_colours(open_page: PageMaker) -> None:
    page = open_page(reduced_motion="reduce", forced_colors="active")
    assert page.evaluate("getComputedStyle(document.querySelector('.part')).transitionDuration") == "0s"
    assert page.locator(".swatch").first.is_visible()
