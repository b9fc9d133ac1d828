"""Names as people type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.registry.names import LONGEST_NAME, NameIndex, closest_names, normalised, unknown


def index(*names: str) -> NameIndex[str]:
    found: NameIndex[str] = NameIndex()
    for name in names:
        found.add(name, name)
    return found


@pytest.mark.parametrize("asked", ["rtx-4090", "RTX4090", "rtx_40.90", " RTX 4090", "RtX-4090"])
def test_case_and_separators_do_not_matter(asked: str) -> None:
    assert index("rtx-4090", "rtx-4080").get(asked) == "rtx-4090"


@pytest.mark.parametrize("asked", ["rtx-409", "rtx-40900", "rtx/4090", "", "-", "4090"])
def test_likeness_is_no_match(asked: str) -> None:
    assert index("rtx-4090").get(asked) is None


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("opt-13b", "opt-13b"),
        ("opt-1.3b", "opt-1.3b"),
        ("OPT_1_3B", "opt-1.3b"),
        ("opt13b", "opt-13b"),
        ("opt1.3b", "opt-1.3b"),
    ],
)
def test_names_that_differ_in_a_point_stay_apart(asked: str, meant: str) -> None:
    assert index("opt-13b", "opt-1.3b").get(asked) == meant


def test_a_spelling_that_fits_two_names_means_neither() -> None:
    names = index("a-1b.c", "a-1.bc")
    assert names.get("a1bc") is None
    assert sorted(names.fitting("a1bc")) == ["a-1.bc", "a-1b.c"]


def test_the_first_to_take_a_name_keeps_it() -> None:
    names: NameIndex[int] = NameIndex()
    assert names.add("Name", 1)
    assert not names.add("name", 2)
    assert names.add("NAME", 1)
    assert names.get("name") == 1


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,30}", fullmatch=True))
def test_every_name_finds_itself_in_any_spelling(name: str) -> None:
    names = index(name, "other")
    for spelling in (name, name.upper(), name.lower(), name.replace("-", "_"), normalised(name)):
        assert names.get(spelling) == name or normalised(name) == "other"


def test_closest_keeps_the_family_and_looks_at_the_size() -> None:
    names = ["Qwen3-8B", "Qwen3-0.6B", "Qwen3-235B-A22B", "Qwen-7B", "gemma-7b", "Llama-3.1-8B"]
    assert closest_names("Qwen3-7B", names)[0] == "Qwen3-8B"
    assert closest_names("Qwen/Qwen3-7B", names)[0] == "Qwen3-8B"


def test_the_error_shows_the_closest_in_both_languages_and_no_endless_name() -> None:
    error = unknown("unknown_model", "Qwen3-7B", ["Qwen3-8B"])
    assert error.closest == ("Qwen3-8B",)
    assert "Qwen3-8B" in error.text() and "Qwen3-8B" in error.text("zh")
    long = unknown("unknown_model", "x" * 10_000, ["Qwen3-8B"])
    assert long.closest == ()
    assert len(long.text()) < LONGEST_NAME + 100
