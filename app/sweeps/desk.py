"""Where sweeps are asked for: small ones are answered at once, others wait in the store for a runner."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson
from msgspec import Struct

from ..errors import DomainError, UnknownName, invalid
from ..messages import Message
from ..service import Service
from ..settings import Settings
from ..units import MIB
from . import CONTENT_TYPES
from .ask import Check, Resolve, grid_of_request
from .grid import Grid, document_of, grid_of
from .local import Sweep
from .results import check_parquet, ndjson, parquet
from .sizes import check_size, is_at_once

if TYPE_CHECKING:
    from ..store.sweeps import SweepJob

Values = Mapping[str, Any]
Answer = dict[str, Any]

MOST_WAITING: Final = 100  # sweeps that are not done, of everybody
MOST_OF_ONE: Final = 20  # the same of one owner
LARGEST_DOCUMENT: Final = 4 * MIB  # [bytes] of a sweep's own description, users' models in it
UNFINISHED: Final = ("queued", "running")


class SweepsBusy(DomainError):
    """Too many sweeps wait already (429)."""

    code = "sweeps_busy"
    status = 429
    retry_after = 30


class NotDone(DomainError):
    """The result of a sweep that has none yet (409)."""

    code = "sweep_not_done"
    status = 409


class Result(Struct, frozen=True):
    """Rows on their way: bytes, what they are, and a name for a file of them."""

    chunks: Iterator[bytes]
    content_type: str
    name: str


class Desk:
    """The sweeps of one service."""

    def __init__(self, service: Service, settings: Settings) -> None:
        self._service = service
        self._settings = settings

    def ask(self, values: Values, check: Check, resolve: Resolve, owner: str) -> Answer:
        """The rows of a small sweep, or the state of a queued one.

        `values` are `calculation`, `fixed` and `vary`; `check` turns the fields of one point into checked
        values, `resolve` puts in what only the asker's names mean. Raises `InvalidRequest`, `SweepsBusy`,
        `StoreDown`.
        """
        grid = self.grid(values, check, resolve)
        if is_at_once(grid):
            return self.at_once(grid)
        return self._queued(grid, owner)

    def grid(self, values: Values, check: Check, resolve: Resolve) -> Grid:
        """The grid of a request; raises `InvalidRequest`."""
        grid = grid_of_request(values, lambda point: resolve(check(point)), self._service.lookup)
        check_size(grid, self._settings.sweep_points)
        return grid

    def at_once(self, grid: Grid) -> Answer:
        """All rows, in the order of points."""
        return Sweep(grid, self._service.lookup).answer()

    def state(self, id: str) -> Answer:  # noqa: A002
        """How far a sweep is; raises `UnknownName`."""
        job = self._job(id)
        if job.state in UNFINISHED:
            self._start_runner()
        return _state(job)

    def result(self, id: str, form: str) -> Result:  # noqa: A002
        """The rows of a sweep that is done, as a stream.

        Raises `UnknownName`, `NotDone`, and `NotSupportedYet` where a library is missing.
        """
        if form == "parquet":
            check_parquet()
        job = self._job(id)
        if job.state != "done":
            raise NotDone(Message("sweep_not_done", {"state": job.state}))
        grid = grid_of(job.request)
        payloads = (part.payload for part in self._service.store.sweeps.parts(id))
        chunks = (parquet if form == "parquet" else ndjson)(grid, payloads)
        return Result(chunks, CONTENT_TYPES[form], f"sweep-{id[:8]}.{form}")

    def forget(self, id: str) -> None:  # noqa: A002
        """Cancel a sweep that is not done, and forget it with its parts; raises `UnknownName`."""
        sweeps = self._service.store.sweeps
        sweeps.cancel(id)
        if not sweeps.delete(id):
            raise _unknown(id)

    def _queued(self, grid: Grid, owner: str) -> Answer:
        sweeps = self._service.store.sweeps
        for count, most in ((sweeps.unfinished(), MOST_WAITING), (sweeps.unfinished(owner), MOST_OF_ONE)):
            if count >= most:
                raise SweepsBusy(Message("sweeps_busy", {"count": count}))
        document = document_of(grid)
        if len(orjson.dumps(document)) > LARGEST_DOCUMENT:
            raise invalid("vary", "sweep_document_too_large", most=LARGEST_DOCUMENT // MIB)
        job = sweeps.create(owner, document, grid.total)
        self._start_runner()
        return _state(job)

    def _start_runner(self) -> None:
        from .runner import start_runner

        start_runner(self._settings)

    def _job(self, id: str) -> "SweepJob":  # noqa: A002
        job = None if self._service.store.address.untouched else self._service.store.sweeps.get(id)
        if job is None:
            raise _unknown(id)
        return job


def _unknown(id: str) -> UnknownName:  # noqa: A002
    return UnknownName(Message("unknown_sweep", {"id": id[:64]}))


def _state(job: "SweepJob") -> Answer:
    return {
        "id": job.id,
        "calculation": job.request["calculation"],
        "state": job.state,
        "total": job.total,
        "done": job.done,
        "created": job.created,
        "finished": job.finished,
        "error": job.error,
    }
