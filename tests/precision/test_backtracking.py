"""Expressions of strangers: those of real checkpoints match, those that could take for ever do not."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import InvalidConfig
from app.precision.backtracking import ways
from app.precision.patterns import MOST, MOST_WAYS, Patterns

NAME = "model.layers.17.mlp.experts.120.gate_proj"


@pytest.mark.parametrize(
    "pattern",
    [
        r".*mlp\.experts.*(gate|up|gate_up|down)_proj.*",
        r"model\.layers\.\d+\.mlp\.experts\.\d+\.gate_proj$",
        r"model\.layers\.[0-9]+\..*",
        r".*layers\.(16|17|18)\..*",
        r"^(?!.*self_attn).*gate_proj$",
        r".*experts\.[^.]+\.gate_proj",
        r"(?:model\.)?layers\.1[0-9]\..*proj",
    ],
)
def test_patterns_in_use_match(pattern: str) -> None:
    assert Patterns.of([f"re:{pattern}"]).match([NAME])
    assert not Patterns.of([f"re:{pattern}"]).match(["lm_head"])


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+Q", "(.*)*Q", "(.|.)*Q", "(.+.+)+Q", ".+" * 12 + "Q", ".?" * 100 + "Q", "(.|.)" * 40 + "Q",
        ".{1,9}" * 20 + "Q", "(?=" + ".+" * 9 + "Q)", "(?:" * 50 + "a" + ")*" * 50, r"(\w+\s?)+Q",
        "((.?){20}){20}Q", "[^x]+" * 9 + "Q", "(?>.+)+Q", r"(.)(?(1)(.|.)|(.|.))" * 30 + "Q",
    ],
)  # fmt: skip
def test_patterns_that_could_take_for_ever_are_not_tried(pattern: str) -> None:
    assert ways(pattern) > MOST_WAYS
    assert not Patterns.of([f"re:{pattern}"]).match([NAME * 3])


@pytest.mark.parametrize("pattern", ["(", "[", "a{2,1}", "(?P<x", "\\", "*", "(?<=a+)b", "a**", "(" * 200])
def test_what_is_no_pattern_matches_nothing(pattern: str) -> None:
    assert not Patterns.of([f"re:{pattern}"]).match([NAME])


def test_a_list_of_patterns_has_an_end() -> None:
    for entries in ([f"re:{n}" for n in range(MOST + 1)], [f"*{n}*" for n in range(MOST + 1)]):
        with pytest.raises(InvalidConfig):
            Patterns.of(entries)
    assert Patterns.of([f"layers.{n}.mlp" for n in range(50_000)]).match(["layers.49999.mlp"])


@pytest.mark.filterwarnings("ignore::FutureWarning")
@given(st.text(alphabet="ab.*+?|()[]{}\\^$d12,", max_size=30))
@settings(max_examples=300, deadline=None)
def test_any_text_is_matched_or_left(pattern: str) -> None:
    """No text of a stranger raises; what is plain for `re` itself is matched as `re` does."""
    found = Patterns.of([f"re:{pattern}"]).match(["ab.12"])
    if found:
        re.compile(pattern)
