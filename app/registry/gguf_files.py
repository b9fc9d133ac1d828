"""A model as its GGUF files have it: one file, or the parts that `gguf-split` made of one.

Parts are called `NAME-00001-of-00003.gguf`; the first has the metadata, each has tensors of its own (ggml
`docs/gguf.md`, "GGUF Naming Convention"; llama.cpp `tools/gguf-split`).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Final

from ..errors import InvalidRequest, Problem
from ..messages import Message
from ..precision.gguf_types import FILE_TYPE_NUMBERS
from .gguf import Array, BrokenGguf, GgufHeader, GgufTensor, Value, read_header

MOST_PARTS: Final = 256
LONGEST_SHOWN: Final = 256  # [characters] of a text of the metadata in answers
MOST_SHOWN: Final = 256  # pairs of it
_FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*\.gguf")
_PART: Final = re.compile(r"(?P<name>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})")
# Tensors that are no parameters: factors of rotary positions that llama.cpp computed ahead.
_NO_PARAMETERS: Final = re.compile(r"(blk\.\d+\.)?rope_(freqs|factors_long|factors_short)\.weight")


@dataclass(frozen=True)
class GgufModel:
    """A model's files, each with its header, in the order of its parts."""

    headers: tuple[tuple[str, GgufHeader], ...]

    @property
    def file(self) -> str:
        """The file, or the first of its parts."""
        return self.headers[0][0]

    @property
    def name(self) -> str:
        """What to call the model: the file's name without folder, part and ending."""
        stem = self.file.rsplit("/", 1)[-1].removesuffix(".gguf")
        part = _PART.fullmatch(stem)
        return part["name"] if part else stem

    @property
    def metadata(self) -> dict[str, Value]:
        """The first file's metadata."""
        return dict(self.headers[0][1].metadata)

    @cached_property
    def tensors(self) -> tuple[GgufTensor, ...]:
        """All tensors, in the order of the files."""
        return tuple(tensor for _, header in self.headers for tensor in header.tensors)

    @cached_property
    def parameters(self) -> tuple[GgufTensor, ...]:
        """The tensors that are the model's parameters."""
        return tuple(each for each in self.tensors if not _NO_PARAMETERS.fullmatch(each.name))

    @property
    def bytes(self) -> int:
        """The size of all tensors, without the padding between them [bytes]."""
        return sum(tensor.bytes for tensor in self.tensors)

    @property
    def file_bytes(self) -> int:
        """The size of all files [bytes]."""
        return sum(header.file_bytes for _, header in self.headers)

    @property
    def architecture(self) -> str | None:
        """llama.cpp's name for the architecture."""
        found = self.metadata.get("general.architecture")
        return found if isinstance(found, str) else None

    @property
    def file_type(self) -> str | None:
        """The mix that the file says it is, as `q4_k_m`."""
        found = self.metadata.get("general.file_type")
        return FILE_TYPE_NUMBERS.get(found) if type(found) is int else None

    @property
    def context_length(self) -> int | None:
        """The length that the model was made for [tokens]."""
        found = self.metadata.get(f"{self.architecture}.context_length")
        return found if type(found) is int else None

    def summary(self) -> dict[str, Any]:
        """What answers say of the files."""
        return {
            "files": [name for name, _ in self.headers],
            "version": self.headers[0][1].version,
            "architecture": self.architecture,
            "context_length": self.context_length,
            "file_type": self.file_type,
            "tensors": len(self.tensors),
            "elements": sum(tensor.elements for tensor in self.tensors),
            "bytes": self.bytes,
            "file_bytes": self.file_bytes,
            "types": self._types(),
            "metadata": {key: _shown(value) for key, value in islice(self.metadata.items(), MOST_SHOWN)},
        }

    def _types(self) -> dict[str, dict[str, int]]:
        """Tensors, elements and bytes of each block type, the largest first."""
        found: dict[str, dict[str, int]] = {}
        for tensor in self.tensors:
            entry = found.setdefault(tensor.type, {"tensors": 0, "elements": 0, "bytes": 0})
            entry["tensors"] += 1
            entry["elements"] += tensor.elements
            entry["bytes"] += tensor.bytes
        return dict(sorted(found.items(), key=lambda item: -item[1]["bytes"]))


def _shown(value: Value) -> Any:
    """A value for people: of an array its length, of a long text the beginning."""
    if isinstance(value, Array):
        return {"length": value.length}
    if isinstance(value, str) and len(value) > LONGEST_SHOWN:
        return f"{value[:LONGEST_SHOWN]}…"
    return value


def parts_of(file: str) -> list[str]:
    """The files of which one was named: itself, or all parts; raises `InvalidRequest`."""
    part = _PART.fullmatch(file.removesuffix(".gguf"))
    if not part:
        return [file]
    number, count = int(part["number"]), int(part["count"])
    if not 1 <= number <= count <= MOST_PARTS:
        raise _wrong_file(file)
    return [f"{part['name']}-{each:05}-of-{count:05}.gguf" for each in range(1, count + 1)]


def checked_file(file: str) -> str:
    """A path inside a repository; raises `InvalidRequest`."""
    if not _FILE.fullmatch(file) or len(file) > 200:
        raise _wrong_file(file)
    return file


def _wrong_file(file: str) -> InvalidRequest:
    message = Message("gguf_bad_file", {"file": file[:200], "limit": MOST_PARTS})
    return InvalidRequest(message, [Problem("file", message)])


def joined(headers: list[tuple[str, GgufHeader]]) -> GgufModel:
    """The model of all its parts; raises `BrokenGguf` where they do not belong together."""
    first = headers[0][1].metadata
    names = [tensor.name for _, header in headers for tensor in header.tensors]
    expected = first.get("split.tensors.count", len(names))
    numbers = [header.metadata.get("split.no", index) for index, (_, header) in enumerate(headers)]
    counts = {header.metadata.get("split.count", len(headers)) for _, header in headers}
    # A file that was never split may say so with 0.
    if expected != len(names) or len(set(names)) != len(names) or not counts <= {len(headers), 0}:
        raise BrokenGguf(Message("gguf_parts", {"file": headers[0][0], "parts": len(headers)}))
    if numbers != list(range(len(headers))):
        raise BrokenGguf(Message("gguf_parts", {"file": headers[0][0], "parts": len(headers)}))
    return GgufModel(tuple(headers))


def read_file(path: Path) -> GgufModel:
    """The model of a file on this machine, with its other parts beside it; raises `InvalidRequest`."""
    try:
        return joined([(each.name, _read(each)) for each in _beside(path)])
    except BrokenGguf as error:
        raise InvalidRequest(error.message, [Problem("file", error.message)]) from error


def _beside(path: Path) -> Iterator[Path]:
    return (path.with_name(name) for name in parts_of(path.name))


def _read(path: Path) -> GgufHeader:
    try:
        with path.open("rb") as file:
            header = read_header(_from(file.seek, file.read), path.name)
    except OSError as error:
        message = Message("gguf_no_file", {"file": path.name, "reason": error.strerror or str(error)})
        raise InvalidRequest(message, [Problem("file", message)]) from error
    if path.stat().st_size < header.least_bytes:
        params = {"file": path.name, "bytes": path.stat().st_size, "expected": header.least_bytes}
        raise BrokenGguf(Message("gguf_data_cut_short", params))
    return header


def _from(seek: Callable[[int], object], read: Callable[[int], bytes]) -> Callable[[int, int], bytes]:
    def source(begin: int, size: int) -> bytes:
        seek(begin)
        return read(size)

    return source
