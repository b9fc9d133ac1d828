"""Sweeps as jobs: claimed by one runner at a time, their parts kept once whoever computed them.

A runner holds a job for as long as it renews its lease; when it dies, the lease runs out and another
runner claims the job and goes on with the parts that are missing.
"""

import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, update

from .database import Database
from .tables import SweepJobRow, SweepPartRow
from .upsert import insert_once

QUEUED: Final = "queued"
RUNNING: Final = "running"
DONE: Final = "done"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
UNFINISHED: Final = (QUEUED, RUNNING)


@dataclass(frozen=True, slots=True)
class SweepJob:
    """A sweep; `total` and `done` count points, times are [s] since 1970."""

    id: str
    owner: str
    state: str
    request: Mapping[str, Any]
    total: int
    done: int
    error: str | None
    created: float
    finished: float | None
    lease_until: float | None
    runner: str | None


@dataclass(frozen=True, slots=True)
class SweepPart:
    """A finished piece: its place, how many points it has, and their bytes."""

    index: int
    points: int
    payload: bytes


class Sweeps:
    """All sweeps; every method raises `StoreDown`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, owner: str, request: Mapping[str, Any], total: int) -> SweepJob:
        """Queue a sweep of so many points, under an id that cannot be guessed."""
        job = SweepJob(
            secrets.token_urlsafe(16), owner, QUEUED, request, total, 0, None, time.time(), None, None, None
        )
        with self._database.write() as connection:
            row = {"id": job.id, "owner": owner, "state": QUEUED, "request": dict(request)}
            connection.execute(
                insert(SweepJobRow).values(row | {"total": total, "done": 0, "created": job.created})
            )
        return job

    def get(self, id: str) -> SweepJob | None:  # noqa: A002
        """The sweep of an id."""
        with self._database.read() as connection:
            found = connection.execute(_ALL.where(SweepJobRow.id == id)).one_or_none()
        return None if found is None else SweepJob(*found)

    def list(self, owner: str, limit: int = 100, offset: int = 0) -> list[SweepJob]:
        """An owner's sweeps, newest first."""
        newest = _ALL.where(SweepJobRow.owner == owner).order_by(SweepJobRow.created.desc(), SweepJobRow.id)
        with self._database.read() as connection:
            return [SweepJob(*row) for row in connection.execute(newest.limit(limit).offset(offset))]

    def unfinished(self, owner: str | None = None) -> int:
        """How many sweeps wait or run, of one owner or of all."""
        wanted = select(func.count()).where(SweepJobRow.state.in_(UNFINISHED))
        if owner is not None:
            wanted = wanted.where(SweepJobRow.owner == owner)
        with self._database.read() as connection:
            return connection.execute(wanted).scalar_one()

    def claim(self, runner: str, lease_s: float) -> SweepJob | None:
        """The oldest sweep that nobody works at, now this runner's for `lease_s` seconds."""
        now = time.time()
        free = or_(
            SweepJobRow.state == QUEUED,
            and_(SweepJobRow.state == RUNNING, SweepJobRow.lease_until < now),
        )
        oldest = select(SweepJobRow.id).where(free).order_by(SweepJobRow.created, SweepJobRow.id).limit(1)
        with self._database.write() as connection:
            id_ = connection.execute(oldest.with_for_update(skip_locked=True)).scalar_one_or_none()
            if id_ is None:
                return None
            connection.execute(
                update(SweepJobRow)
                .where(SweepJobRow.id == id_)
                .values(state=RUNNING, runner=runner, lease_until=now + lease_s)
            )
            return SweepJob(*connection.execute(_ALL.where(SweepJobRow.id == id_)).one())

    def renew(self, id: str, runner: str, lease_s: float) -> bool:  # noqa: A002
        """Hold a sweep for longer; False where it was cancelled or is another runner's by now."""
        held = update(SweepJobRow).where(_held(id, runner)).values(lease_until=time.time() + lease_s)
        with self._database.write() as connection:
            return connection.execute(held).rowcount == 1

    def add_part(self, id: str, index: int, points: int, payload: bytes) -> bool:  # noqa: A002
        """Keep a finished part and count its points; False where it was there or the sweep is not running."""
        running = select(SweepJobRow.id).where(SweepJobRow.id == id, SweepJobRow.state == RUNNING)
        with self._database.write() as connection:
            if connection.execute(running.with_for_update()).scalar_one_or_none() is None:
                return False
            part = {"job_id": id, "index": index, "points": points, "payload": payload}
            if not insert_once(connection, SweepPartRow, part):
                return False
            connection.execute(
                update(SweepJobRow).where(SweepJobRow.id == id).values(done=SweepJobRow.done + points)
            )
        return True

    def part_indices(self, id: str) -> set[int]:  # noqa: A002
        """Which parts are there."""
        with self._database.read() as connection:
            return set(connection.scalars(select(SweepPartRow.index).where(SweepPartRow.job_id == id)))

    def parts(self, id: str, first: int = 0) -> Iterator[SweepPart]:  # noqa: A002
        """The parts in order from an index on, one at a time: no more than one is in memory."""
        after = first - 1
        while (part := self._next_part(id, after)) is not None:
            yield part
            after = part.index

    def finish(self, id: str, runner: str, error: str | None = None) -> bool:  # noqa: A002
        """Mark a sweep as done, or as failed with what went wrong; False where it is not this runner's."""
        state = DONE if error is None else FAILED
        ended = update(SweepJobRow).where(_held(id, runner)).values(_ended(state) | {"error": error})
        with self._database.write() as connection:
            return connection.execute(ended).rowcount == 1

    def release(self, id: str, runner: str) -> bool:  # noqa: A002
        """Put a sweep back into the queue, as a runner does that is told to stop."""
        back = {"state": QUEUED, "runner": None, "lease_until": None}
        with self._database.write() as connection:
            return connection.execute(update(SweepJobRow).where(_held(id, runner)).values(back)).rowcount == 1

    def cancel(self, id: str) -> bool:  # noqa: A002
        """Stop a sweep; its runner learns of it at its next renewal. False where it had ended already."""
        stopped = update(SweepJobRow).where(SweepJobRow.id == id, SweepJobRow.state.in_(UNFINISHED))
        with self._database.write() as connection:
            return connection.execute(stopped.values(_ended(CANCELLED))).rowcount == 1

    def delete(self, id: str) -> bool:  # noqa: A002
        """Forget a sweep and its parts; False where there is none."""
        with self._database.write() as connection:
            connection.execute(delete(SweepPartRow).where(SweepPartRow.job_id == id))
            return connection.execute(delete(SweepJobRow).where(SweepJobRow.id == id)).rowcount == 1

    def expire(self, before: float) -> int:
        """Forget the sweeps that ended before a moment [s since 1970], with their parts; how many."""
        old = and_(SweepJobRow.finished.is_not(None), SweepJobRow.finished < before)
        with self._database.write() as connection:
            connection.execute(
                delete(SweepPartRow).where(SweepPartRow.job_id.in_(select(SweepJobRow.id).where(old)))
            )
            return connection.execute(delete(SweepJobRow).where(old)).rowcount

    def _next_part(self, id: str, after: int) -> SweepPart | None:  # noqa: A002
        wanted = (
            select(SweepPartRow.index, SweepPartRow.points, SweepPartRow.payload)
            .where(SweepPartRow.job_id == id, SweepPartRow.index > after)
            .order_by(SweepPartRow.index)
            .limit(1)
        )
        with self._database.read() as connection:
            found = connection.execute(wanted).one_or_none()
        return None if found is None else SweepPart(*found)


_ALL = select(
    SweepJobRow.id, SweepJobRow.owner, SweepJobRow.state, SweepJobRow.request, SweepJobRow.total,
    SweepJobRow.done, SweepJobRow.error, SweepJobRow.created, SweepJobRow.finished,
    SweepJobRow.lease_until, SweepJobRow.runner,
)  # fmt: skip


def _held(id: str, runner: str) -> ColumnElement[bool]:  # noqa: A002
    return and_(SweepJobRow.id == id, SweepJobRow.runner == runner, SweepJobRow.state == RUNNING)


def _ended(state: str) -> dict[str, Any]:
    return {"state": state, "finished": time.time(), "lease_until": None}
