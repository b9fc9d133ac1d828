"""A sweep computed right here: rows as an iterator, or written to a file; one part at a time in memory."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any, Final

import orjson

from ..errors import invalid
from ..service.lookup import Lookup
from .grid import Grid, document_of
from .part import Row, evaluate, pack, rows, unpack
from .results import check_parquet, columns, ndjson, parquet
from .sizes import bounds, parts

SUFFIXES: Final = {".ndjson": "ndjson", ".jsonl": "ndjson", ".parquet": "parquet"}
WORTH_A_POOL: Final = 4  # parts


Advance = Callable[[int], object]


def _nobody(_points: int) -> None:
    """Nobody is told."""


class Sweep:
    """Every point of a grid, in order; `columns` names what a row may have."""

    def __init__(self, grid: Grid, lookup: Lookup, processes: int | None = 0) -> None:
        """`processes` that compute; 0 is this one, None as many as cores where that is worth it.

        A script that asks for processes needs `if __name__ == "__main__":` around what it does.
        """
        self.grid = grid
        self.columns = columns(grid)
        self._lookup = lookup
        wanted = (os.cpu_count() or 1) if parts(grid) > WORTH_A_POOL else 0
        self._processes = wanted if processes is None else processes

    def __len__(self) -> int:
        return self.grid.total

    def __iter__(self) -> Iterator[Row]:
        for payload in self.payloads():
            yield from rows(unpack(payload), self.columns)

    def payloads(self, advance: Advance = _nobody) -> Iterator[bytes]:
        """The parts in order; `advance` is told of the points of each."""
        for index, payload in enumerate(self._pooled() if self._processes else self._alone()):
            start, stop = bounds(self.grid, index)
            yield payload
            advance(stop - start)

    def write(self, path: str | Path, advance: Advance = _nobody) -> None:
        """Write every row to `.ndjson` (or `.jsonl`) or `.parquet`; raises `InvalidRequest` for others."""
        form = form_of(Path(path))
        with Path(path).open("wb") as file:
            file.writelines(self.chunks(form, advance))

    def chunks(self, form: str, advance: Advance = _nobody) -> Iterator[bytes]:
        """The rows as bytes of `ndjson` or `parquet`; raises `NotSupportedYet` without the library."""
        if form == "parquet":
            check_parquet()
        return (parquet if form == "parquet" else ndjson)(self.grid, self.payloads(advance))

    def answer(self, advance: Advance = _nobody) -> dict[str, Any]:
        """As `POST /api/sweeps` answers a small one."""
        total = len(self)
        found = [row for payload in self.payloads(advance) for row in rows(unpack(payload), self.columns)]
        head = {"calculation": self.grid.calculation, "state": "done", "total": total, "done": total}
        return {**head, "rows": found}

    def _alone(self) -> Iterator[bytes]:
        for index in range(parts(self.grid)):
            yield pack(evaluate(self.grid, *bounds(self.grid, index), self._lookup))

    def _pooled(self) -> Iterator[bytes]:
        """The same by a pool, whose parts come in any order."""
        from .workers import Pool

        early: dict[int, bytes] = {}
        due = count()
        wanted = next(due)
        with ExitStack() as held:
            pool = held.enter_context(Pool(self._processes))
            for part in pool.compute(orjson.dumps(document_of(self.grid)), range(parts(self.grid))):
                if part is not None:
                    early[part[0]] = part[1]
                while wanted in early:
                    yield early.pop(wanted)
                    wanted = next(due)


def form_of(path: Path) -> str:
    """The form of a file by its name; raises `InvalidRequest`."""
    form = SUFFIXES.get(path.suffix.lower())
    if form is None:
        raise invalid("output", "sweep_not_a_file", value=path.name[:80], known=", ".join(SUFFIXES))
    return form
