"""Bringing the tables to this version: once, however many processes start at the same moment.

Alembic's scripts run here without its usual `env.py`, so that they work inside an installed package too.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, inspect, text

from .address import Address
from .current import HEAD
from .engine import NO_TRANSACTION, WRITES

SCRIPTS: Final = Path(__file__).parent / "migrations"
_LOCK: Final = 0x6C6C6D65  # of PostgreSQL's advisory locks: "llme"
# Alembic's scripts speak to whichever environment the process entered last: one thread at a time.
_one_thread = threading.Lock()


def _renew() -> None:
    global _one_thread
    _one_thread = threading.Lock()  # in a child it may be held by a thread that was not forked


os.register_at_fork(after_in_child=_renew)


def ensure_current(engine: Engine, address: Address) -> None:
    """Make the tables those of this version; returns at once where they are."""
    if address.file is not None:
        _make(address.file)
    if _is_current(engine, address):
        return
    with _only_one(engine, address) as connection:
        if not _is_ours_or_newer(version(connection)):
            upgrade(connection)


def _make(file: Path) -> None:
    """An empty file for the owner only: it will hold hashes of tokens."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)


def version(connection: Connection) -> str | None:
    """The migration that the tables are at; None before the first."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run the migrations that are missing up to a revision, inside the connection's transaction."""
    _run(connection, revision, lambda script: script._upgrade_revs)


def downgrade(connection: Connection, revision: str) -> None:
    """Run migrations backwards to a revision; `base` is before the first."""
    _run(connection, revision, lambda script: script._downgrade_revs)


def _run(connection: Connection, revision: str, steps: Any) -> None:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(SCRIPTS))
    plan = steps(script)
    with (
        _one_thread,
        EnvironmentContext(
            Config(), script, fn=lambda current, _context: plan(revision, current)
        ) as environment,
    ):
        environment.configure(connection=connection, render_as_batch=True)
        environment.run_migrations()


def _is_current(engine: Engine, address: Address) -> bool:
    with engine.connect() as connection:
        if address.file is not None:
            journal = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
            if journal != "wal":
                return False
        return _is_ours_or_newer(version(connection))


def _is_ours_or_newer(found: str | None) -> bool:
    """Migrations only add, so that this version goes on working while a newer one is being rolled out."""
    return found is not None and found >= HEAD


@contextmanager
def _only_one(engine: Engine, address: Address) -> Iterator[Connection]:
    """A transaction that no other process can be in at the same time."""
    if address.file is None:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            yield connection
        return
    with locked(address.file.with_name(address.file.name + ".lock")):
        with engine.execution_options(**NO_TRANSACTION).connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        with engine.execution_options(**WRITES).begin() as connection:
            yield connection


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, which the system lets go of when a process dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
