"""Data types: their names, what else they are called, and the bits an element of each takes up."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from ..errors import InvalidRequest, Problem
from ..messages import Message
from ..units import ceil_div


class DataType(Struct, frozen=True):
    """`bits` per stored element; `code`: what a safetensors header calls it (None: stored packed)."""

    name: str
    bits: int
    code: str | None
    aliases: tuple[str, ...] = ()

    @property
    def description(self) -> Message:
        """One line for people."""
        return Message(f"dtype_{self.name}")


_ALL: Final = (
    DataType("float64", 64, "F64", ("double", "fp64", "f64")),
    DataType("float32", 32, "F32", ("fp32", "float", "f32", "single")),
    DataType("tf32", 32, None, ("tensorfloat32", "tensor_float_32")),
    DataType("float16", 16, "F16", ("fp16", "half", "f16")),
    DataType("bfloat16", 16, "BF16", ("bf16",)),
    DataType(
        "fp8",
        8,
        "F8_E4M3",
        ("float8", "fp8_e4m3", "float8_e4m3", "float8_e4m3fn", "float8_e4m3fnuz", "f8_e4m3", "e4m3"),
    ),
    DataType("fp8_e5m2", 8, "F8_E5M2", ("float8_e5m2", "float8_e5m2fnuz", "f8_e5m2", "e5m2")),
    DataType("e8m0", 8, "F8_E8M0", ("float8_e8m0fnu", "ue8m0", "f8_e8m0")),
    DataType("int64", 64, "I64", ("long", "i64")),
    DataType("int32", 32, "I32", ("int", "i32")),
    DataType("int16", 16, "I16", ("short", "i16")),
    DataType("int8", 8, "I8", ("i8",)),
    DataType("uint8", 8, "U8", ("u8", "byte")),
    DataType("bool", 8, "BOOL"),
    DataType("int4", 4, None, ("i4", "uint4", "u4")),
    DataType("fp4", 4, None, ("float4_e2m1fn_x2", "float4_e2m1", "e2m1", "f4")),
)


def _key(name: str) -> str:
    return name.lower().removeprefix("torch.").translate(str.maketrans("", "", "-_. "))


DTYPES: Final[Mapping[str, DataType]] = {dtype.name: dtype for dtype in _ALL}
_BY_KEY: Final = {_key(name): dtype for dtype in _ALL for name in (dtype.name, *dtype.aliases)}


def find(name: str) -> DataType | None:
    """The data type of that name or alias, spelled in any way; None where there is none."""
    return DTYPES.get(name) or _BY_KEY.get(_key(name))


def data_type(name: str, field: str = "precision") -> DataType:
    """The data type of that name or alias.

    >>> data_type("torch.BFloat16").name, data_type("fp16").name
    ('bfloat16', 'float16')

    Raises `InvalidRequest` for a name that is none.
    """
    if (found := find(name)) is not None:
        return found
    message = Message("unknown_dtype", {"field": field, "value": name[:40], "known": ", ".join(DTYPES)})
    raise InvalidRequest(message, [Problem(field, message)])


def size_of(elements: int, dtype: str) -> int:
    """Bytes of that many elements; half bytes are counted exactly and the last one is filled up.

    >>> size_of(3, "bfloat16"), size_of(3, "int4")
    (6, 2)
    """
    return ceil_div(elements * data_type(dtype).bits, 8)
