"""The way to the tables: transactions, an engine of each process's own, and one kind of failure."""

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ..errors import StoreDown
from .address import Address
from .engine import WRITES, open_engine
from .failures import describe
from .migrate import ensure_current

LOG: Final = logging.getLogger("llm_estimate.store")
_REST_S: Final = 1.0  # after a failed connection nobody tries again for so long [s]


class Database:
    """One database. `read()` and `write()` give a connection inside a transaction; both raise `StoreDown`."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._process = 0
        self._down: tuple[float, StoreDown] | None = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self._failures(), self.engine().connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes: all of it lasts, or nothing."""
        with self._failures():
            engine = self.engine().execution_options(**WRITES)
            with engine.connect() as connection, connection.begin():
                yield connection

    def engine(self) -> Engine:
        """This process's engine over tables of this version; the first call migrates where that is due."""
        if self._engine is not None and self._process == os.getpid():
            return self._engine
        with self._lock:
            self._leave_the_parents_engine()
            if self._engine is None:
                engine = open_engine(self.address)
                ensure_current(engine, self.address)
                self._engine, self._process = engine, os.getpid()
            return self._engine

    def close(self) -> None:
        """Give the connections back."""
        if self._engine is not None and self._process == os.getpid():
            self._engine.dispose()
        self._engine = None

    def after_fork(self) -> None:
        """In a new process: locks may be held by threads that are not here any more."""
        self._lock = threading.Lock()

    def _leave_the_parents_engine(self) -> None:
        """Its connections belong to another process: dropped without a word to the server."""
        if self._engine is not None and self._process != os.getpid():
            self._engine.dispose(close=False)
            self._engine = None

    @contextmanager
    def _failures(self) -> Iterator[None]:
        if self._down is not None and time.monotonic() < self._down[0]:
            raise self._down[1]
        try:
            yield
        except IntegrityError:
            raise
        except (DBAPIError, PoolTimeout, OSError) as error:
            raise self._failed(error) from error
        self._down = None

    def _failed(self, error: SQLAlchemyError | OSError) -> StoreDown:
        message = describe(error)
        LOG.warning("store: %s (%s)", message.text(), type(getattr(error, "orig", error)).__name__)
        down = StoreDown(message)
        if message.code == "store_unreachable":
            self._down = (time.monotonic() + _REST_S, down)
        return down
