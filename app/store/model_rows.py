"""Users' models as rows."""

import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, delete, select

from .changes import count_up, number
from .database import Database
from .tables import RegisteredModelRow
from .upsert import insert_into, insert_once

TOPIC: Final = "registered_models"


class ModelRow(NamedTuple):
    """A user's model as it is kept: its place among all spellings, when it was put, and its content."""

    place: str
    updated: float
    content: Mapping[str, Any]


class ModelRows:
    """The rows; every method raises `StoreDown`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def number(self) -> int:
        """Counts up with every change."""
        with self._database.read() as connection:
            return number(connection, TOPIC)

    def all(self) -> tuple[int, list[ModelRow]]:
        """Every row by name, and the number that they are at least as new as."""
        wanted = select(RegisteredModelRow.place, RegisteredModelRow.updated, RegisteredModelRow.entry)
        with self._database.read() as connection:
            seen = number(connection, TOPIC)  # first: rows newer than their number are only read once more
            rows = connection.execute(wanted.order_by(RegisteredModelRow.name))
            return seen, [ModelRow(*row) for row in rows]

    def put(self, place: str, content: Mapping[str, Any], *, replace: bool) -> bool:
        """Keep a row; False where one is in its place and `replace` is off."""
        with self._database.write() as connection:
            if not put_row(connection, place, content, replace=replace):
                return False
            count_up(connection, TOPIC)
        return True

    def delete(self, place: str) -> bool:
        """Forget a row; False where there is none."""
        gone = delete(RegisteredModelRow).where(RegisteredModelRow.place == place)
        with self._database.write() as connection:
            if connection.execute(gone).rowcount == 0:
                return False
            count_up(connection, TOPIC)
        return True


def put_row(connection: Connection, place: str, content: Mapping[str, Any], *, replace: bool) -> bool:
    """Insert a row, or write over the one in its place; False where that may not be."""
    now = time.time()
    row = {"place": place, "name": content["name"], "entry": dict(content), "created": now, "updated": now}
    if not replace:
        return insert_once(connection, RegisteredModelRow, row)
    newer = {name: row[name] for name in ("name", "entry", "updated")}
    statement = insert_into(connection, RegisteredModelRow).values(row)
    connection.execute(statement.on_conflict_do_update(index_elements=["place"], set_=newer))
    return True
