"""A finished sweep as a stream: JSON lines, or Parquet; no more than one part is in memory."""

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from typing import Any, Final

import orjson

from ..errors import NotSupportedYet, Problem
from ..messages import Message
from .forms import FORMS, Kind
from .grid import Axis, Grid
from .part import rows, shown, unpack

AT_A_TIME: Final = 500  # rows of a chunk

_TYPES: Final[Mapping[type, Kind]] = {bool: "boolean", int: "integer", float: "number"}


def columns(grid: Grid) -> dict[str, Kind]:
    """Every column that a row may have, and its kind."""
    varied = {name: kind for axis in (*grid.outer, *grid.inner) for name, kind in _of_axis(axis).items()}
    return {**varied, **FORMS[grid.calculation].kinds, "error": "text", "error_message": "text"}


def _of_axis(axis: Axis) -> dict[str, Kind]:
    """Columns of the fields that an axis sets; a number where some value has a fraction."""
    if isinstance(axis.places, range):
        return {axis.name: "integer"}
    kinds: dict[str, set[Kind]] = {}
    for place in range(len(axis)):
        for name, value in shown(axis.fields(place)).items():
            kinds.setdefault(name, set())
            if value is not None:
                kinds[name].add(_TYPES.get(type(value), "text"))
    return {name: _joined(found) for name, found in kinds.items()}


def _joined(kinds: set[Kind]) -> Kind:
    if len(kinds) == 1:
        return next(iter(kinds))
    return "number" if kinds == {"integer", "number"} else "text"


def ndjson(grid: Grid, payloads: Iterable[bytes]) -> Iterator[bytes]:
    """One JSON object a line, a line a point."""
    names = columns(grid)
    for payload in payloads:
        found = rows(unpack(payload), names)
        while some := list(islice(found, AT_A_TIME)):
            yield b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in some)


def check_parquet() -> None:
    """Raise `NotSupportedYet` where the library is not installed."""
    if find_spec("pyarrow") is None:
        message = Message("sweep_no_parquet")
        raise NotSupportedYet(message, [Problem("format", message)])


def parquet(grid: Grid, payloads: Iterable[bytes]) -> Iterator[bytes]:
    """One row group a part."""
    pa, pq = import_module("pyarrow"), import_module("pyarrow.parquet")
    kinds = columns(grid)
    types = {"integer": pa.int64(), "number": pa.float64(), "text": pa.string(), "boolean": pa.bool_()}
    schema = pa.schema([(name, types[kind]) for name, kind in kinds.items()])
    sink = _Sink()
    writer = pq.ParquetWriter(sink, schema, compression="zstd")
    for payload in payloads:
        pieces = unpack(payload)
        arrays = [
            pa.array(_whole(pieces, name, kind), field.type)
            for (name, kind), field in zip(kinds.items(), schema, strict=True)
        ]
        writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
        yield sink.taken()
    writer.close()
    yield sink.taken()


def _whole(pieces: Iterable[Mapping[str, Any]], name: str, kind: Kind) -> list[Any]:
    """A column of all pieces."""
    found: list[Any] = []
    for piece in pieces:
        values = piece["each"].get(name)
        if values is None:
            values = [piece["same"].get(name)] * piece["count"]
        found.extend(map(_as_text, values) if kind == "text" else values)
    return found


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


class _Sink:
    """A file that is only written, whose bytes are taken away as they come."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self.closed = False

    def write(self, data: Any) -> int:
        self._chunks.append(bytes(data))
        self._size += len(self._chunks[-1])
        return len(self._chunks[-1])

    def taken(self) -> bytes:
        found, self._chunks = b"".join(self._chunks), []
        return found

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False
