"""Usage events, summed by the hour before they are kept: nothing about a person is in them."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import case, delete, func, select

from .database import Database
from .records import HOUR, DayLine, EventKey, EventLine, EventSum
from .tables import EventRow
from .upsert import insert_into


class Events:
    """All events; every method raises `StoreDown`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, sums: Iterable[tuple[EventKey, EventSum]]) -> None:
        """Add sums to those that are there."""
        with self._database.write() as connection:
            # in one order, so that writers never wait for each other in a ring
            for key, each in sorted(sums, key=_key):
                row = {**key._asdict(), "count": each.count, "timed": each.timed}
                row |= {"duration": each.duration, "longest": each.longest}
                insert = insert_into(connection, EventRow).values(row)
                connection.execute(
                    insert.on_conflict_do_update(
                        index_elements=["hour", "event", "type"], set_=_added(insert.excluded)
                    )
                )

    def lines(self, first_hour: int, last_hour: int) -> list[EventLine]:
        """Sums by event and type over hours, both ends included; the most frequent first."""
        count = func.sum(EventRow.count)
        sums = select(
            EventRow.event, EventRow.type, count, func.sum(EventRow.timed),
            func.sum(EventRow.duration), func.max(EventRow.longest),
        )  # fmt: skip
        wanted = (
            sums.where(EventRow.hour.between(first_hour, last_hour))
            .group_by(EventRow.event, EventRow.type)
            .order_by(count.desc(), EventRow.event, EventRow.type)
        )
        with self._database.read() as connection:
            return [
                EventLine(event, type_, EventSum(int(count), int(timed), duration, longest))
                for event, type_, count, timed, duration, longest in connection.execute(wanted)
            ]

    def days(self, first_hour: int, last_hour: int) -> list[DayLine]:
        """How many events each day had, from the first; a day without events has no line."""
        day = EventRow.hour - EventRow.hour % 24
        wanted = (
            select(day, func.sum(EventRow.count))
            .where(EventRow.hour.between(first_hour, last_hour))
            .group_by(day)
            .order_by(day)
        )
        with self._database.read() as connection:
            return [DayLine(hour // 24, int(count)) for hour, count in connection.execute(wanted)]

    def expire(self, before: float) -> int:
        """Forget the hours before a moment [s since 1970]; how many sums."""
        with self._database.write() as connection:
            gone = delete(EventRow).where(EventRow.hour < int(before // HOUR))
            return connection.execute(gone).rowcount


def _key(sums: tuple[EventKey, EventSum]) -> EventKey:
    return sums[0]


def _added(new: Any) -> dict[str, Any]:
    """What a row becomes when sums come to it; both databases know CASE, only one knows GREATEST."""
    longest = case((new.longest > EventRow.longest, new.longest), else_=EventRow.longest)
    sums = {name: getattr(EventRow, name) + getattr(new, name) for name in ("count", "timed", "duration")}
    return {**sums, "longest": longest}
