"""The functions of `lanes` say of each element of an array what they say of it alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import lanes

_NUMBERS = st.one_of(st.integers(-(2**52), 2**52), st.floats(-1e12, 1e12))
_TABLE = (1, 2, 4, 8, 16)


@settings(max_examples=20)
@given(st.lists(st.tuples(_NUMBERS, _NUMBERS), min_size=2, max_size=8))
def test_of_two_numbers(pairs: list[tuple[float, float]]) -> None:
    a, b = (np.array(each, dtype=float) for each in zip(*pairs, strict=True))
    for ask in (lanes.least, lanes.most):
        assert ask(a, b).tolist() == [ask(float(x), float(y)) for x, y in pairs]
    assert lanes.choose(a < b, a, b).tolist() == [
        lanes.choose(x < y, x, y) for x, y in zip(a, b, strict=True)
    ]


@settings(max_examples=20)
@given(st.lists(st.floats(-1e12, 1e12), min_size=2, max_size=8))
def test_of_one_number(values: list[float]) -> None:
    for ask in (lanes.up, lanes.down, lanes.whole):
        found = ask(np.array(values))
        assert found.dtype == np.int64
        assert found.tolist() == [ask(value) for value in values]


@settings(max_examples=20)
@given(st.lists(st.integers(1, 40), min_size=2, max_size=8))
def test_of_a_table(values: list[int]) -> None:
    found = lanes.up_to(_TABLE, np.array(values))
    assert found.tolist() == [lanes.up_to(_TABLE, value) for value in values]
    assert lanes.entry(_TABLE, found - 1).tolist() == [_TABLE[place - 1] for place in found]


@pytest.mark.parametrize(("values", "expected"), [([0, 0], False), ([0, 3], True)])
def test_some(values: list[int], expected: bool) -> None:
    assert lanes.some(np.array(values)) is expected
    assert lanes.is_array(np.array(values))
