"""What a store holds, without changing anything about it."""

from typing import Any

from sqlalchemy import Table, func, select
from sqlalchemy.engine import make_url

from .address import Address
from .database import Database
from .engine import open_engine
from .migrate import version
from .tables import Base

KEPT: tuple[Table, ...] = tuple(table for table in Base.metadata.sorted_tables if table.name != "changes")


def status(database: Database) -> dict[str, Any]:
    """Where the store is, which migration its tables are at (None before the first), and rows by table.

    Raises `StoreDown`.
    """
    found: dict[str, Any] = {"database": _shown(database.address), "version": None, "rows": {}}
    if database.address.untouched:
        return found
    engine = open_engine(database.address)
    try:
        with database.guarded(), engine.begin() as connection:
            found["version"] = at = version(connection)
            if at is not None:
                found["rows"] = {
                    table.name: connection.scalars(select(func.count()).select_from(table)).one()
                    for table in KEPT
                }
    finally:
        engine.dispose()
    return found


def _shown(address: Address) -> str:
    """Without what is secret."""
    return str(address.file) if address.file else make_url(address.url).render_as_string(hide_password=True)
