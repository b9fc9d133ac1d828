"""Inserts that a row already there does not break; both databases know them under the same words."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from .tables import Base


def insert_into(connection: Connection, table: type[Base]) -> Any:
    """An INSERT of the connection's own dialect, which knows ON CONFLICT."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    return dialect.insert(table)


def insert_once(connection: Connection, table: type[Base], row: Mapping[str, Any]) -> bool:
    """Insert a row; False where one with its key is there already."""
    statement = insert_into(connection, table).values(dict(row)).on_conflict_do_nothing()
    counted = statement.execution_options(preserve_rowcount=True)
    return connection.execute(counted).rowcount == 1
