"""Headers of safetensors files: what real ones hold, and that no bytes at all crash or hang the reader."""

import json
from math import prod
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.registry.safetensors import BrokenHeader, StoredTensor, header_length, json_object, stored_tensors

from ..hang import no_hang

HUGE = 10**4000
NUMBERS = st.integers(-2, 10**6) | st.sampled_from([2**63 - 1, 2**63, HUGE, 1.0, True, None, "1"])
TYPES = st.sampled_from(["BF16", "F4", "F6_E2M3", "I64", "XX", "", None, 1, ["F16"], {}])
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "dtype": TYPES,
        "shape": st.lists(NUMBERS, max_size=20) | NUMBERS,
        "data_offsets": st.lists(NUMBERS, max_size=3) | NUMBERS,
        "more": st.none(),
    },
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
HEADERS = st.dictionaries(st.text(max_size=10), ENTRY | ANYTHING, max_size=5)


def read(header: bytes) -> None:
    with no_hang():
        try:
            found = stored_tensors(header)
        except BrokenHeader:
            return
    for each in found.values():
        assert isinstance(each, StoredTensor)
        assert 0 <= each.bytes < 2**63
        assert all(type(size) is int and size >= 0 for size in each.shape)


def test_a_tensor() -> None:
    header = {"w": {"dtype": "F16", "shape": [2, 3], "data_offsets": [4, 16]}, "__metadata__": {"a": "b"}}
    assert stored_tensors(json.dumps(header).encode()) == {"w": StoredTensor("F16", (2, 3), 12)}
    assert header_length((77).to_bytes(8, "little") + b"rest") == 77


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_bytes(header: bytes) -> None:
    read(header)


@given(HEADERS)
@settings(max_examples=60, deadline=None)
def test_any_object(header: dict[str, Any]) -> None:
    read(json.dumps(header).encode())


@given(st.lists(st.integers(0, 50), max_size=5), st.sampled_from(["BF16", "F32", "U8"]), st.integers(0, 1000))
def test_what_fits_is_read(shape: list[int], dtype: str, begin: int) -> None:
    size = prod(shape) * {"BF16": 2, "F32": 4, "U8": 1}[dtype]
    entry = {"dtype": dtype, "shape": shape, "data_offsets": [begin, begin + size]}
    found = stored_tensors(json.dumps({"w": entry}).encode())
    assert found == {"w": StoredTensor(dtype, tuple(shape), size)}


@pytest.mark.parametrize(
    "header",
    [
        json.dumps({"w": {"dtype": "U8", "shape": [HUGE] * 16, "data_offsets": [0, 1]}}),
        json.dumps({"w": {"dtype": "U8", "shape": [10**18] * 16, "data_offsets": [0, 1]}}),
        json.dumps({"w": {"dtype": "U8", "shape": [2] * 1_000_000, "data_offsets": [0, 1]}}),
        '{"w": {"dtype": "U8", "shape": [' + "9" * 1_000_000 + '], "data_offsets": [0, 1]}}',
        "[" * 1_000_000,
        '{"a":' * 200_000,
        '{"w": 1e999999999}',
        '{"w": {"dtype": "U8", "shape": [NaN], "data_offsets": [0, Infinity]}}',
        '{"\\ud800": {}}',
    ],
    ids=range(9),
)
def test_large_and_deep_ones_are_refused_at_once(header: str) -> None:
    with no_hang(), pytest.raises(BrokenHeader):
        stored_tensors(header.encode())


@given(st.binary(max_size=12))
def test_any_beginning(start: bytes) -> None:
    if len(start) < 8:
        with pytest.raises(BrokenHeader):
            header_length(start)
    else:
        assert 0 <= header_length(start) < 2**64


@given(st.binary(max_size=200))
def test_any_configuration_file(text: bytes) -> None:
    try:
        assert isinstance(json_object(text), dict)
    except BrokenHeader:
        return


@pytest.mark.slow
@given(HEADERS)
@settings(max_examples=1000, deadline=None)
def test_many_objects(header: dict[str, Any]) -> None:
    read(json.dumps(header).encode())
