"""Backups: one SQLite file with everything, whichever database it came from, and back into either.

So the same two commands also move a store from SQLite to PostgreSQL.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from sqlalchemy import Connection, Table, delete, func, insert, select, text
from sqlalchemy.exc import DBAPIError

from ..errors import invalid
from .address import Address, sqlite_at
from .changes import count_up, raise_to
from .current import HEAD
from .database import Database
from .engine import NO_TRANSACTION, open_engine
from .migrate import version
from .model_rows import TOPIC
from .status import KEPT
from .tables import Base, ChangeRow

TABLES: Final[tuple[Table, ...]] = tuple(Base.metadata.sorted_tables)
_BATCH: Final = 200  # rows that are in memory at a time


def back_up(database: Database, target: Path) -> dict[str, int]:
    """Write a whole and consistent copy to a new file, while the service may go on; rows by table.

    Raises `InvalidRequest` where the file exists, and `StoreDown`, also for the disk of the copy.
    """
    if target.exists():
        raise invalid("file", "backup_exists", file=target)
    if not target.absolute().parent.is_dir():
        raise invalid("file", "backup_no_folder", file=target)
    with TemporaryDirectory(dir=target.absolute().parent, prefix=".backup-") as folder:
        made = Path(folder) / "store.sqlite3"
        copy = Database(sqlite_at(made))
        with database.guarded():
            if database.address.file is None:
                _copy_rows(database, copy)
            else:
                _vacuum_into(database, made)
        counted = _count(copy)
        copy.close()
        _settle(made)
        made.rename(target)
    return counted


def restore(database: Database, source: Path, *, replace: bool = False) -> dict[str, int]:
    """Put a backup's rows into a database, all or none, while the service may go on; rows by table.

    A backup of an older version is migrated on the way. Raises `InvalidRequest` for a file that is no backup
    or is of a newer version, and for a store that holds something unless `replace` is on; and `StoreDown`.
    """
    with _opened_copy(source) as copy:
        with database.write() as connection:
            seen = {table.name: _rows_in(connection, table) for table in KEPT}
            if any(seen.values()) and not replace:
                raise invalid("file", "store_not_empty")
            before = connection.execute(select(func.max(ChangeRow.number))).scalar() or 0
            for table in reversed(TABLES):
                connection.execute(delete(table))
            with copy.read() as other:
                _copy_tables(other, connection)
            raise_to(connection, TOPIC, before)
            count_up(connection, TOPIC)
        return _count(copy)


def _vacuum_into(database: Database, made: Path) -> None:
    os.close(os.open(made, os.O_CREAT | os.O_EXCL, 0o600))
    engine = open_engine(database.address)
    try:
        with engine.execution_options(**NO_TRANSACTION).connect() as connection:
            connection.exec_driver_sql("VACUUM INTO ?", (str(made),))
    finally:
        engine.dispose()


def _copy_rows(database: Database, copy: Database) -> None:
    with database.read() as source:
        source.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        with copy.write() as target:
            _copy_tables(source, target)


def _copy_tables(source: Connection, target: Connection) -> None:
    for table in TABLES:
        streamed = source.execution_options(yield_per=_BATCH).execute(select(table))
        for rows in streamed.mappings().partitions():
            target.execute(insert(table), [dict(row) for row in rows])
        if target.dialect.name == "postgresql" and table.autoincrement_column is not None:
            _continue_counting(target, table)


def _continue_counting(connection: Connection, table: Table) -> None:
    """Rows came with their numbers: the next one must be beyond them."""
    last = select(func.max(table.c.id)).scalar_subquery()
    sequence = func.pg_get_serial_sequence(table.name, "id")
    connection.execute(select(func.setval(sequence, func.coalesce(last, 1), last.is_not(None))))


@contextmanager
def _opened_copy(source: Path) -> Iterator[Database]:
    """A backup, migrated to this version in a copy of its own."""
    with TemporaryDirectory(prefix="restore-") as folder:
        file = Path(folder) / "store.sqlite3"
        try:
            shutil.copyfile(source, file)
        except OSError as error:
            raise invalid("file", "backup_unreadable", file=source) from error
        _check_version(sqlite_at(file), source)
        copy = Database(sqlite_at(file))
        try:
            yield copy
        finally:
            copy.close()


def _check_version(address: Address, source: Path) -> None:
    engine = open_engine(address)
    try:
        with engine.connect() as connection:
            found = version(connection)
    except DBAPIError:
        found = None
    finally:
        engine.dispose()
    if found is None:
        raise invalid("file", "no_backup", file=source)
    if found > HEAD:
        raise invalid("file", "backup_newer", file=source)


def _count(database: Database) -> dict[str, int]:
    with database.read() as connection:
        return {table.name: _rows_in(connection, table) for table in KEPT}


def _rows_in(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _settle(file: Path) -> None:
    """A backup is one file that is on the disk before it has its name."""
    for path in (file, file.parent):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
