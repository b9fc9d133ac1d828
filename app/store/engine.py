"""Engines: how each of the two databases is opened."""

from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url

from .address import Address

# Execution options of a connection: how SQLite begins its transactions.
WRITES: Final = {"begin": "BEGIN IMMEDIATE"}
NO_TRANSACTION: Final = {"begin": None}

BUSY_MS: Final = 15_000  # how long a writer waits for another [ms]
_CONNECT_S: Final = 3  # how long PostgreSQL may take to answer the door [s]
# Below gunicorn's patience, so that a database that hangs costs an answer and not a worker.
_POSTGRESQL_OPTIONS: Final = "-c statement_timeout=15000 -c lock_timeout=10000 -c timezone=UTC"


def open_engine(address: Address) -> Engine:
    """An engine for one process; nothing is connected yet."""
    return _sqlite(address) if address.file is not None else _postgresql(address)


def _sqlite(address: Address) -> Engine:
    engine = create_engine(address.url, connect_args={"timeout": BUSY_MS / 1000}, pool_size=5)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver starts no transactions of its own
        for pragma in (f"busy_timeout={BUSY_MS}", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        """A writer takes the lock at once: one that read first could not wait for it without a conflict."""
        statement = connection.get_execution_options().get("begin", "BEGIN")
        if statement:
            connection.exec_driver_sql(statement)

    return engine


def _postgresql(address: Address) -> Engine:
    asked = make_url(address.url).query
    usual = {
        "connect_timeout": _CONNECT_S,
        "tcp_user_timeout": 10_000,
        "application_name": "llm-estimate",
        "options": _POSTGRESQL_OPTIONS,
    }
    arguments = {name: value for name, value in usual.items() if name not in asked}
    try:
        return create_engine(
            address.url, connect_args=arguments, pool_size=4, max_overflow=4, pool_timeout=5,
            pool_pre_ping=True, pool_recycle=1800,
        )  # fmt: skip
    except ImportError as error:
        raise ValueError('DATABASE_URL needs the extra: pip install "llm-estimate[postgres]"') from error
