"""History: the questions that their owners wanted kept, newest first."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from .database import Database
from .records import HistoryEntry, NewEntry
from .tables import HistoryRow


class History:
    """Everybody's history; every method raises `StoreDown`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, entries: Sequence[NewEntry], most: int) -> None:
        """Keep entries; of each owner only the newest `most` stay."""
        rows = [{**_plain(entry), "search": entry.search.casefold()} for entry in entries]
        with self._database.write() as connection:
            connection.execute(insert(HistoryRow), rows)
            for owner in {entry.owner for entry in entries}:
                _trim(connection, owner, most)

    def page(
        self, owner: str, search: str | None = None, kind: str | None = None, limit: int = 50, offset: int = 0
    ) -> tuple[list[HistoryEntry], int]:
        """An owner's entries that have a text and a kind, newest first; and how many there are in all."""
        wanted = [HistoryRow.owner == owner]
        if kind is not None:
            wanted.append(HistoryRow.kind == kind)
        for word in (search or "").casefold().split():
            wanted.append(HistoryRow.search.contains(word, autoescape=True))
        count = select(func.count()).select_from(HistoryRow).where(*wanted)
        newest = _ALL.where(*wanted).order_by(HistoryRow.id.desc()).limit(limit).offset(offset)
        with self._database.read() as connection:
            return [HistoryEntry(*row) for row in connection.execute(newest)], connection.scalars(count).one()

    def delete(self, owner: str, id: int) -> bool:  # noqa: A002
        """Forget one of an owner's entries; False where there is none."""
        with self._database.write() as connection:
            gone = delete(HistoryRow).where(HistoryRow.id == id, HistoryRow.owner == owner)
            return connection.execute(gone).rowcount == 1

    def clear(self, owner: str) -> int:
        """Forget all of an owner's entries; how many there were."""
        with self._database.write() as connection:
            return connection.execute(delete(HistoryRow).where(HistoryRow.owner == owner)).rowcount

    def expire(self, before: float, most: int) -> int:
        """Forget what is older than a moment [s since 1970], and all but the newest `most` of everybody's."""
        with self._database.write() as connection:
            old = connection.execute(delete(HistoryRow).where(HistoryRow.created < before)).rowcount
            beyond = select(HistoryRow.id).order_by(HistoryRow.id.desc()).limit(1).offset(most)
            last = connection.execute(beyond).scalar_one_or_none()
            if last is None:
                return old
            return old + connection.execute(delete(HistoryRow).where(HistoryRow.id <= last)).rowcount


_ALL = select(HistoryRow.id, HistoryRow.kind, HistoryRow.request, HistoryRow.summary, HistoryRow.created)


def _plain(entry: NewEntry) -> dict[str, Any]:
    return {
        "owner": entry.owner,
        "kind": entry.kind,
        "request": dict(entry.request),
        "summary": dict(entry.summary),
        "created": entry.created,
    }


def _trim(connection: Connection, owner: str, most: int) -> None:
    own = select(HistoryRow.id).where(HistoryRow.owner == owner)
    last = connection.execute(own.order_by(HistoryRow.id.desc()).limit(1).offset(most)).scalar_one_or_none()
    if last is not None:
        connection.execute(delete(HistoryRow).where(HistoryRow.owner == owner, HistoryRow.id <= last))
