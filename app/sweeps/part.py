"""One part of a sweep: some thousands of points in a row, as compact pieces, and back as rows.

A piece is what one setting says: values that all its points share, and columns of those that they do not.
Where a point cannot be answered, `error` (a stable code) and `error_message` stand in place of figures.
"""

import logging
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import islice, repeat
from typing import Any, Final

import orjson

from ..errors import DomainError
from ..lanes import is_array, numpy
from ..service.lookup import Lookup, name_of
from .forms import FORMS, Columns, Form
from .grid import Axis, Grid, Slice, Values

LOG: Final = logging.getLogger("llm_estimate.sweeps")
FEWEST_LANES: Final = 4  # of which arrays are made: fewer are read alone sooner
BROKEN: Final = "internal_error"
LONGEST_REASON: Final = 200
_FAST: Final = 1  # zlib's level
DIGITS: Final = 6  # significant ones: speeds are not known to more
TINY: Final = 1e-200
_MODELS: Final = ("model_name", "config", "model_size")

Row = dict[str, Any]


def evaluate(grid: Grid, start: int, stop: int, lookup: Lookup) -> Iterator[dict[str, Any]]:
    """Pieces for the points `start` to `stop`; nothing that is wrong with one is raised."""
    form = FORMS[grid.calculation]
    for some in grid.slices(start, stop):
        shared = shown(some.values)
        for count, columns in _columns(grid, some, form, lookup):
            yield _piece(shared, _rounded(columns, form), count)


def _columns(grid: Grid, some: Slice, form: Form, lookup: Lookup) -> Iterator[tuple[int, Columns]]:
    """Columns of all lanes at once, or those of each alone."""
    values = {**grid.fixed, **some.values}
    count = some.stop - some.start
    if form.lanes is not None and count >= FEWEST_LANES and has_arrays():
        lanes = _lanes(grid, some)
        found = _figures(lambda: form.lanes and form.lanes(values, lanes, lookup))
        if found is not None and found.get("error") != BROKEN:
            yield count, {**lanes, **found}
            return
    for lane in range(some.start, some.stop):
        asked = grid.point(lane)
        point = {**values, **asked}
        yield 1, {**asked, **(_figures(lambda: form.point(point, lookup)) or {})}  # noqa: B023


def _figures(ask: Callable[[], Columns | None]) -> Columns | None:
    """What is asked for, or why there is no answer; a fault of ours ends no sweep."""
    try:
        return ask()
    except DomainError as error:
        return {"error": error.code, "error_message": error.text()}
    except Exception as error:
        LOG.exception("a point of a sweep")
        return {"error": BROKEN, "error_message": f"{type(error).__name__}: {error}"[:LONGEST_REASON]}


def _rounded(columns: Columns, form: Form) -> Columns:
    """Times, rates and shares to the digits that answers have; integers stay as they are."""
    return {
        name: significant(value) if form.kinds.get(name) == "number" and value is not None else value
        for name, value in columns.items()
    }


def significant(x: Any) -> Any:
    """A number, or each of an array, to six significant digits.

    >>> significant(13.062959468), significant(123456789.0), significant(0.0)
    (13.063, 123457000.0, 0.0)
    """
    if is_array(x):
        np = numpy()
        places = DIGITS - 1 - np.floor(np.log10(np.maximum(np.abs(x), TINY)))
        small, large = 10.0 ** np.maximum(places, 0), 10.0 ** np.maximum(-places, 0)
        return np.rint(x / large * small) / small * large
    return float(f"{x:.{DIGITS}g}")


def _lanes(grid: Grid, some: Slice) -> Columns:
    """An array of each field of the inner axes."""
    import numpy as np

    number = np.arange(some.start, some.stop)
    found: Columns = {}
    for axis in reversed(grid.inner):
        number, place = np.divmod(number, len(axis))
        for name in axis.names:
            found[name] = _taken(axis, name, place)
    return found


def _taken(axis: Axis, name: str, place: Any) -> Any:
    """A field's value at each of some places of an axis."""
    import numpy as np

    if isinstance(axis.places, range):
        return axis.places.start + axis.places.step * place
    return np.array([axis.fields(each)[name] for each in range(len(axis))], dtype="int64")[place]


@cache
def has_arrays() -> bool:
    """Whether NumPy is installed; without it every point is read alone."""
    return find_spec("numpy") is not None


def shown(values: Values) -> Row:
    """Fields of a setting as a row has them: a model by its name, an object as JSON."""
    found: Row = {}
    for name, value in values.items():
        if name in _MODELS:
            found["model"] = _model_label(name, value)
        elif name == "gpu" and isinstance(value, Mapping):
            found[name] = value.get("name", "custom")
        else:
            found[name] = orjson.dumps(value).decode() if isinstance(value, Mapping | list) else value
    return found


def _model_label(form: str, value: Any) -> str:
    if form == "config":
        return name_of(value)
    return f"{value:g}B" if form == "model_size" else str(value)


def _piece(shared: Row, columns: Columns, count: int) -> dict[str, Any]:
    each = {name: value for name, value in columns.items() if _is_many(value)}
    same = {name: value for name, value in columns.items() if name not in each}
    return {"count": count, "same": {**shared, **same}, "each": each}


def _is_many(value: Any) -> bool:
    return isinstance(value, list) or hasattr(value, "__array__")


def pack(pieces: Iterator[dict[str, Any]]) -> bytes:
    """Pieces as bytes to keep."""
    text = orjson.dumps(list(pieces), option=orjson.OPT_SERIALIZE_NUMPY)
    return zlib.compress(text, _FAST)


def unpack(payload: bytes) -> list[dict[str, Any]]:
    """Pieces as they were packed, arrays as lists."""
    found: list[dict[str, Any]] = orjson.loads(zlib.decompress(payload))
    return found


def rows(pieces: Sequence[Mapping[str, Any]], columns: Iterable[str]) -> Iterator[Row]:
    """Every point as one row, with those of the columns that it has, in their order."""
    for piece in pieces:
        same, each = piece["same"], piece["each"]
        names = [name for name in columns if name in each or name in same]
        values = (each[name] if name in each else repeat(same[name]) for name in names)
        for row in islice(zip(*values), piece["count"]):  # noqa: B905 - some of them never end
            yield dict(zip(names, row, strict=True))
