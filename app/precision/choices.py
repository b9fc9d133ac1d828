"""Data types and quantizations as lists for people: name, bits and one line each."""

from typing import Final

from msgspec import Struct

from ..messages import Message
from . import schemes
from .dtypes import DTYPES
from .gguf_mix import MIXES

PRECISIONS: Final = ("float32", "tf32", "float16", "bfloat16", "fp8", "int8", "int4")


class Choice(Struct, frozen=True):
    """A name, the bits a weight that it is said to have, and a line about it."""

    name: str
    bits: float
    description: Message


def precisions() -> tuple[Choice, ...]:
    """The data types a request may name."""
    return tuple(Choice(name, DTYPES[name].bits, DTYPES[name].description) for name in PRECISIONS)


def quantizations() -> tuple[Choice, ...]:
    """The formats a request may name; their scales come on top of these bits, but for GGUF types."""
    return tuple(Choice(name, schemes.said_bits(name), _line(name)) for name in schemes.NAMES)


def _line(name: str) -> Message:
    if name in MIXES:
        mix = MIXES[name]
        return Message("quantization_gguf", {"name": name.upper(), "base": mix.base, "bits": f"{mix.bits:g}"})
    return Message("quantization_" + name.replace("-", "_"))
