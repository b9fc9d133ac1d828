"""Contrast of the colour roles, recomputed from the style sheet in both themes."""

import re

import pytest

from app.web import files

TEXT, SHAPE = 4.5, 3.0
TEXTS = ("text", "muted", "accent")
PARTS = ("weights", "kv", "activations", "gradients", "optimizer", "temporary", "framework")
THEMES = ("light", "dark")


def tokens(theme: str) -> dict[str, str]:
    css = files.files()["page.css"].plain.decode()
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", css)
    return {name: colours[THEMES.index(theme)] for name, *colours in pairs}


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES)
def test_text_and_lines_on_every_ground(theme: str) -> None:
    colours = tokens(theme)
    for name in TEXTS:
        for ground in ("surface", "bg"):
            assert contrast(colours[name], colours[ground]) >= TEXT, (name, ground)
    assert contrast(colours["line"], colours["surface"]) >= SHAPE
    assert contrast(colours["muted"], colours["sunken"]) >= TEXT
    assert contrast(colours["accent"], colours["accent-tint"]) >= TEXT
    assert contrast(colours["on-accent"], colours["accent"]) >= TEXT


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("state", ["fits", "tight", "over"])
def test_states_on_their_tint(theme: str, state: str) -> None:
    colours = tokens(theme)
    assert contrast(colours[state], colours[f"{state}-tint"]) >= TEXT
    assert contrast(colours["text"], colours[f"{state}-tint"]) >= TEXT


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("part", PARTS)
def test_parts_stand_out_from_the_surface(theme: str, part: str) -> None:
    colours = tokens(theme)
    assert contrast(colours[part], colours["surface"]) >= SHAPE
