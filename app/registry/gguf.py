"""The header of a GGUF file: its metadata and tensors, read piece by piece without trusting any of it.

Layout: ggml `docs/gguf.md`; what is refused beyond that is what llama.cpp's own reader refuses
(`ggml/src/gguf.cpp`): version 1, big-endian files, a name twice, rows that no block fits, gaps in the data.

    magic "GGUF", version (u32), tensors (u64), pairs (u64),
    pairs: key (string), type (u32), value; an array: element type (u32), length (u64), elements,
    tensors: name (string), dimensions (u32), sizes (u64 each, rows' length first), type (u32), offset (u64)
    and, padded to `general.alignment`, the data. A string is its length (u64) and UTF-8 without an end mark.

Vocabularies make headers some megabytes long: arrays of strings are walked, long ones of numbers skipped.
"""

import math
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from ..messages import Message
from ..precision.gguf_types import BLOCKS, TYPE_NUMBERS

# The bytes of a file from an offset on, fewer than asked for only where the file ends.
Source = Callable[[int, int], bytes]

MIB: Final = 2**20
MOST_HEADER: Final = 64 * MIB  # [bytes]; the longest published ones have about 16
MOST_PAIRS: Final = 4096
MOST_TENSORS: Final = 2**16
MOST_STRINGS: Final = 2**22  # inside arrays, which are walked through
MOST_ARRAYS: Final = 2**16  # inside arrays
MOST_NESTED: Final = 4  # arrays in arrays
LONGEST_NAME: Final = 256  # [bytes] of a key or of a tensor's name
LONGEST_KEPT: Final = 1024  # [bytes] of a text value that are kept
LONGEST_ARRAY: Final = 1024  # elements of an array of numbers that is kept
MOST_KEPT: Final = 2**16  # elements of all of them
MOST_DIMENSIONS: Final = 4
_FIRST_READ: Final = 256 * 1024  # [bytes]: enough without a vocabulary
_NEXT_READ: Final = 4 * MIB
_LARGEST: Final = 2**63
_ALIGNMENT: Final = 32
_VERSIONS: Final = (2, 3)
_UINT32: Final = 4
_STRING: Final = 8
_ARRAY: Final = 9

# Number of a value's type: its layout.
_SCALARS: Final[Mapping[int, struct.Struct]] = {
    number: struct.Struct("<" + layout)
    for number, layout in ((0, "B"), (1, "b"), (2, "H"), (3, "h"), (4, "I"), (5, "i"), (6, "f"), (7, "?"),
                           (10, "Q"), (11, "q"), (12, "d"))
}  # fmt: skip
_U32: Final = _SCALARS[_UINT32]
_U64: Final = _SCALARS[10]


class BrokenGguf(ValueError):
    """What cannot be, or is not read as, the header of a GGUF file; `message` says what is wrong."""

    def __init__(self, message: Message) -> None:
        self.message = message
        super().__init__(message.code)


class Array(Struct, frozen=True):
    """An array of the metadata: its length, and its numbers where they are few."""

    length: int
    values: tuple[int | float | bool | None, ...] | None = None


Value = str | int | float | bool | None | Array


class GgufTensor(Struct, frozen=True):
    """A tensor: block type, shape (the row's length last), size [bytes], offset in the data [bytes]."""

    name: str
    type: str
    shape: tuple[int, ...]
    bytes: int
    offset: int

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


class GgufHeader(Struct, frozen=True):
    """What one file says of itself; `data_offset` is where its tensors begin [bytes]."""

    version: int
    metadata: Mapping[str, Value]
    tensors: tuple[GgufTensor, ...]
    data_offset: int
    data_bytes: int  # with the padding between tensors

    @property
    def file_bytes(self) -> int:
        """The size of the whole file."""
        return self.data_offset + self.data_bytes

    @property
    def least_bytes(self) -> int:
        """Where the last tensor ends; not every writer pads behind it."""
        last = self.tensors[-1:]
        return self.data_offset + sum(tensor.offset + tensor.bytes for tensor in last)


def read_header(source: Source, file: str) -> GgufHeader:
    """The header of the file that `source` has, called `file` in messages; raises `BrokenGguf`."""
    reader = _Reader(source, file)
    version, tensors, pairs = _beginning(reader)
    metadata = _metadata(reader, pairs)
    alignment = _alignment(reader, metadata)
    found, size = _tensors(reader, tensors, alignment)
    start = _padded(reader.at, alignment) if found else reader.at
    kept = {key: value for key, (_, value) in metadata.items()}
    return GgufHeader(version, kept, found, start, size)


def _beginning(reader: "_Reader") -> tuple[int, int, int]:
    """Version, and how many tensors and pairs there are."""
    if reader.take(4) != b"GGUF":
        raise reader.broken("gguf_no_magic")
    version = reader.number(_U32)
    if version and version & 0xFFFF == 0:
        raise reader.broken("gguf_big_endian")
    if version not in _VERSIONS:
        raise reader.broken("gguf_version", version=version)
    tensors = reader.count("tensor_count", MOST_TENSORS)
    return version, tensors, reader.count("metadata_kv_count", MOST_PAIRS)


def _metadata(reader: "_Reader", count: int) -> dict[str, tuple[int, Value]]:
    """Each key's type and value."""
    found: dict[str, tuple[int, Value]] = {}
    for _ in range(count):
        key = reader.name()
        if not key or key in found:
            raise reader.broken("gguf_key", key=key)
        kind = reader.number(_U32)
        found[key] = kind, reader.value(kind, key)
    return found


def _alignment(reader: "_Reader", metadata: Mapping[str, tuple[int, Value]]) -> int:
    kind, value = metadata.get("general.alignment", (_UINT32, _ALIGNMENT))
    if kind != _UINT32 or not isinstance(value, int) or value < 1 or value & (value - 1):
        raise reader.broken("gguf_alignment")
    return value


def _tensors(reader: "_Reader", count: int, alignment: int) -> tuple[tuple[GgufTensor, ...], int]:
    """The tensors, one after the other without gaps, and the size of their data [bytes]."""
    found: dict[str, GgufTensor] = {}
    size = 0
    for _ in range(count):
        tensor = _tensor(reader)
        if not tensor.name or tensor.name in found:
            raise reader.broken("gguf_tensor_name", name=tensor.name)
        if tensor.offset != size:
            raise reader.broken("gguf_tensor_offset", name=tensor.name, offset=tensor.offset, expected=size)
        found[tensor.name] = tensor
        size = _padded(size + tensor.bytes, alignment)
    return tuple(found.values()), size


def _tensor(reader: "_Reader") -> GgufTensor:
    name = reader.name()
    dimensions = reader.number(_U32)
    if dimensions > MOST_DIMENSIONS:
        raise reader.broken("gguf_tensor_shape", name=name)
    sizes = [reader.number(_U64) for _ in range(dimensions)]
    number, offset = reader.number(_U32), reader.number(_U64)
    kind = TYPE_NUMBERS.get(number)
    if kind is None:
        raise reader.broken("gguf_tensor_type", name=name, type=number)
    elements, size = BLOCKS[kind]
    row, total = (sizes[0] if sizes else 1), math.prod(sizes)
    if max(sizes, default=0) >= _LARGEST or total >= _LARGEST or row % elements:
        raise reader.broken("gguf_tensor_shape", name=name)
    return GgufTensor(name, kind, tuple(reversed(sizes)), total // elements * size, offset)


def _padded(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


class _Reader:
    """Goes forward through a file and holds no more of it than one piece."""

    def __init__(self, source: Source, file: str) -> None:
        self.at = 0  # offset in the file [bytes]
        self._source = source
        self._file = file
        self._start = 0  # offset of the piece
        self._piece = b""
        self._next = _FIRST_READ
        self._left = {_STRING: MOST_STRINGS, _ARRAY: MOST_ARRAYS}
        self._kept = 0

    def broken(self, code: str, **params: object) -> BrokenGguf:
        """The error of a code, with the file's name in it."""
        return BrokenGguf(Message(code, {"file": self._file, **params}))

    def take(self, count: int) -> bytes:
        """The next bytes."""
        begin = self._hold(count)
        self.at += count
        return self._piece[begin : begin + count]

    def number(self, layout: struct.Struct) -> Any:
        """The next number."""
        begin = self._hold(layout.size)
        self.at += layout.size
        return layout.unpack_from(self._piece, begin)[0]

    def count(self, what: str, most: int) -> int:
        """The next number, which says how many of something follow."""
        found: int = self.number(_U64)
        if found > most:
            raise self.broken("gguf_too_many", what=what, count=found, limit=most)
        return found

    def name(self) -> str:
        """The next string, whole: a key or a tensor's name."""
        length = self.number(_U64)
        if length > LONGEST_NAME:
            raise self.broken("gguf_long_name", length=length, limit=LONGEST_NAME)
        return _text(self.take(length))

    def value(self, kind: int, key: str) -> Value:
        """A value of a type."""
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            return self._array(key)
        if kind not in _SCALARS:
            raise self.broken("gguf_value_type", key=key, type=kind)
        return _finite(self.number(_SCALARS[kind]))

    def _string(self) -> str:
        length: int = self.number(_U64)
        kept = _text(self.take(min(length, LONGEST_KEPT)))
        self._skip(length - min(length, LONGEST_KEPT))
        return kept if length <= LONGEST_KEPT else f"{kept}…"

    def _array(self, key: str, depth: int = 1) -> Array:
        kind, length = self.number(_U32), self.number(_U64)
        if (left := self._left.get(kind)) is not None:
            if length > left or depth > MOST_NESTED:
                raise self.broken("gguf_too_many", what=key, count=length, limit=left)
            self._left[kind] = left - length
        if kind == _STRING:
            self._skip_strings(length)
        elif kind == _ARRAY:
            for _ in range(length):
                self._array(key, depth + 1)
        elif kind in _SCALARS:
            return self._numbers(_SCALARS[kind], length)
        else:
            raise self.broken("gguf_value_type", key=key, type=kind)
        return Array(length)

    def _numbers(self, layout: struct.Struct, length: int) -> Array:
        if length > LONGEST_ARRAY or self._kept + length > MOST_KEPT:
            self._skip(length * layout.size)
            return Array(length)
        self._kept += length
        values = layout.iter_unpack(self.take(length * layout.size))
        return Array(length, tuple(_finite(value) for (value,) in values))

    def _skip(self, count: int) -> None:
        self.at += count
        if self.at > MOST_HEADER:
            raise self.broken("gguf_header_too_large", limit=MOST_HEADER)

    def _skip_strings(self, count: int) -> None:
        unpack, width = _U64.unpack_from, _U64.size
        while count:
            at, piece = self._hold(width), self._piece
            last = len(piece) - width
            while count and at <= last:
                at += width + unpack(piece, at)[0]
                count -= 1
            self.at = self._start + at
            self._skip(0)

    def _hold(self, count: int) -> int:
        """Have the next `count` bytes in the piece; where in it they begin."""
        begin = self.at - self._start
        if begin + count > len(self._piece):
            self._read_on(count)
            begin = 0
        return begin

    def _read_on(self, count: int) -> None:
        """Let the piece begin here, with what it has of the rest."""
        if self.at + count > MOST_HEADER:
            raise self.broken("gguf_header_too_large", limit=MOST_HEADER)
        rest = self._piece[self.at - self._start :]
        begin = self.at + len(rest)
        wanted = min(max(self._next, count - len(rest)), MOST_HEADER - begin)
        self._start, self._piece = self.at, rest + self._source(begin, wanted)
        self._next = _NEXT_READ
        if len(self._piece) < count:
            raise self.broken("gguf_cut_short", at=self._start + len(self._piece))


def _text(content: bytes) -> str:
    """Text without the one character that databases refuse."""
    return content.decode("utf-8", errors="replace").replace("\0", "\ufffd")


def _finite(value: int | float | bool) -> int | float | bool | None:
    """A number that JSON has, else None."""
    return value if not isinstance(value, float) or math.isfinite(value) else None
