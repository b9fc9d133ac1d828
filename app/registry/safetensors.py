"""The header of a safetensors file: names, types and sizes of its tensors, read without trusting any of it.

Format: https://huggingface.co/docs/safetensors/index#format
"""

import json
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any, Final

from msgspec import Struct

LENGTH_BYTES: Final = 8  # of the header's length, which stands first
_MOST_DIMENSIONS: Final = 16
_LARGEST: Final = 2**63

# Bits of one element. F4, F6 and F8 forms as safetensors 0.6 names them.
_BITS: Final = {
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
    "BOOL": 8, "U8": 8, "I8": 8,
    "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "U16": 16, "I16": 16, "F16": 16, "BF16": 16,
    "U32": 32, "I32": 32, "F32": 32,
    "U64": 64, "I64": 64, "F64": 64, "C64": 64,
}  # fmt: skip


class BrokenHeader(ValueError):
    """What cannot be the header of a safetensors file."""


class StoredTensor(Struct, frozen=True):
    """A tensor as its file has it: data type, shape, size [bytes]."""

    dtype: str
    shape: tuple[int, ...]
    bytes: int


def header_length(start: bytes) -> int:
    """The length that a file's first bytes give for its header [bytes]; raises `BrokenHeader`."""
    if len(start) < LENGTH_BYTES:
        raise BrokenHeader("too short")
    return int.from_bytes(start[:LENGTH_BYTES], "little")


def stored_tensors(header: bytes) -> dict[str, StoredTensor]:
    """The tensors that a header names; raises `BrokenHeader`."""
    return dict(_stored(json_object(header)))


def json_object(text: bytes) -> dict[str, Any]:
    """A JSON object; a published `Infinity` or `NaN` reads as null, which is what strict JSON has for it.

    Raises `BrokenHeader`.
    """
    try:
        content = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise BrokenHeader("not JSON") from error
    if not isinstance(content, dict):
        raise BrokenHeader("not a JSON object")
    return content


def _stored(header: Mapping[str, Any]) -> Iterator[tuple[str, StoredTensor]]:
    """The tensors of a header, each of the size that its type and shape give."""
    for name, value in header.items():
        if name == "__metadata__":
            continue
        try:
            shape = _numbers(value["shape"], _MOST_DIMENSIONS)
            begin, end = _numbers(value["data_offsets"], 2)
            size = prod(shape) * _BITS[value["dtype"]] // 8
        except (TypeError, KeyError, ValueError) as error:
            raise BrokenHeader(name) from error
        if end - begin != size:
            raise BrokenHeader(name)
        yield name, StoredTensor(value["dtype"], shape, size)


def _numbers(values: Any, most: int) -> tuple[int, ...]:
    """A short list of counts; looked at before anything is computed, since JSON's integers have no bound."""
    if not isinstance(values, list) or len(values) > most:
        raise ValueError("not a short list")
    if not all(type(each) is int and 0 <= each < _LARGEST for each in values):
        raise ValueError("not a count")
    return tuple(values)
