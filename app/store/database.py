"""The way to the tables: transactions, an engine of each process's own, and one kind of failure."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ..errors import StoreDown
from ..messages import Message
from .address import Address
from .engine import WRITES, open_engine
from .failures import BROKEN, UNREACHABLE, describe
from .forks import renew_in_children
from .migrate import ensure_current

LOG: Final = logging.getLogger("llm_estimate.store")
_REST_S: Final = 1.0  # after a failed connection nobody tries again for so long [s]


@dataclass(frozen=True, slots=True)
class _Opened:
    """Engines of one process over one file: for reading and, on the same connections, for writing."""

    reader: Engine
    writer: Engine
    process: int
    file: tuple[int, int] | None


class Database:
    """One database. `read()` and `write()` give a connection inside a transaction; both raise `StoreDown`.

    `first` gets a writing engine once in each process, after the tables are those of this version.
    """

    def __init__(self, address: Address, first: Callable[[Engine], None] | None = None) -> None:
        self.address = address
        self._first = first
        self._lock = threading.Lock()
        self._opened: _Opened | None = None
        self._rest_until = 0.0
        renew_in_children(self)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self.guarded(), self._open().reader.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes: all of it lasts, or nothing."""
        with self.guarded(), self._open().writer.begin() as connection:
            yield connection

    def prepare(self) -> None:
        """Migrate where that is due, and leave nothing open; raises `StoreDown`."""
        with self.guarded():
            self._open()
        self.close()

    def close(self) -> None:
        """Give this process's connections back; the next transaction opens anew."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.reader.dispose(close=opened.process == os.getpid())

    def start_anew(self) -> None:
        """In a forked process: the parent's connections are left alone, and so is its lock."""
        self._lock = threading.Lock()
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.reader.dispose(close=False)

    def _open(self) -> _Opened:
        opened = self._opened
        if opened is not None and opened.file == _identity(self.address):
            return opened
        self.close()
        with self._lock:
            if self._opened is None:
                self._check_rest()
                self._opened = self._open_anew()
            return self._opened

    def _open_anew(self) -> _Opened:
        engine = open_engine(self.address)
        writer = engine.execution_options(**WRITES)
        try:
            ensure_current(engine, self.address)
            if self._first is not None:
                self._first(writer)
        except BaseException:
            engine.dispose()
            raise
        return _Opened(engine, writer, os.getpid(), _identity(self.address))

    def _check_rest(self) -> None:
        """A database that did not answer a moment ago is not waited for by everybody in turn."""
        if time.monotonic() < self._rest_until:
            raise StoreDown(Message(UNREACHABLE))

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Whatever a database or a disk says inside, `StoreDown` comes out."""
        self._check_rest()
        try:
            yield
        except IntegrityError:
            raise
        except (DBAPIError, PoolTimeout, OSError) as error:
            message = describe(error)
            LOG.warning("store: %s (%s)", message.text(), type(getattr(error, "orig", error)).__name__)
            self._after_failure(message.code)
            raise StoreDown(message) from error

    def _after_failure(self, code: str) -> None:
        if code == UNREACHABLE:
            self._rest_until = time.monotonic() + _REST_S
        elif code == BROKEN:  # somebody may put it right while we run: look at everything again
            self.close()


def _identity(address: Address) -> tuple[int, int] | None:
    """Which file a path is now, so that one put in its place is not mistaken for it."""
    if address.file is None:
        return None
    try:
        found = address.file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
