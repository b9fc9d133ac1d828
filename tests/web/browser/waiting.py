"""Waiting for conditions, never for a while."""

from collections.abc import Callable
from typing import Any

from .conftest import PATIENCE_MS

AT_REST = "() => document.documentElement.dataset.asking === '0'"
TWO_FRAMES = "() => new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)))"


def settle(page: Any) -> None:
    """Until nothing is asked, nothing is about to be asked, and what was answered is drawn."""
    while True:
        page.wait_for_function(AT_REST)
        page.evaluate(TWO_FRAMES)
        if page.evaluate(AT_REST):
            return


def until(page: Any, condition: Callable[[], bool]) -> None:
    """Until something holds on this side, while the browser's messages come in."""
    waited = 0
    while not condition():
        assert waited < PATIENCE_MS, "it never came to hold"
        page.wait_for_timeout(20)
        waited += 20


def kept(page: Any, how_many: int) -> None:
    """Until the history holds that many answers; the dialog is closed again."""
    page.click("#tool-history")
    page.wait_for_selector(f".row >> nth={how_many - 1}")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog[open]", state="detached")


def hold(page: Any, pattern: str) -> list[Any]:
    """Requests to a pattern wait in the list until the test lets them go."""
    held: list[Any] = []
    page.route(pattern, lambda route: held.append(route))
    return held
