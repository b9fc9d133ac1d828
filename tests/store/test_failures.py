"""A database that is down, full, busy, read-only or damaged: one sentence, nothing torn, back again."""

import errno
import os
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.errors import StoreDown
from app.store import Store, database, engine
from app.store.failures import describe
from tests.servers import postgresql_running, wait_until

HASH = "a" * 64


def _refused(store: Store) -> str:
    """The code of what a write raises; nothing was kept."""
    with pytest.raises(StoreDown) as error:
        store.tokens.add("b" * 64, ("read",), "x" * 200)
    assert error.value.code == "store_unavailable"
    assert error.value.text("zh") != error.value.text("en")
    return error.value.message.code


@pytest.fixture
def quick(folder: Path, migrated: Path) -> Iterator[Store]:
    """A store in SQLite with one token."""
    folder.mkdir()
    shutil.copy(migrated, folder / "store.sqlite3")
    store = Store(None, folder)
    store.tokens.add(HASH, ("read",), "")
    yield store
    store.database.close()


def _labels(store: Store) -> list[str]:
    return [token.hash[0] for token in store.tokens.list()]


def test_a_transaction_is_whole_or_not_at_all(store: Store) -> None:
    with pytest.raises(RuntimeError), store.database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO tokens (id, hash, scopes, label, created) VALUES ('i', 'h', '', '', 1)"
        )
        raise RuntimeError
    assert store.tokens.list() == []


def test_a_full_disk(quick: Store) -> None:
    with quick.database.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreDown) as error:
        quick.shares.add("?" + "x" * 100_000, None)
    assert error.value.message.code == "store_full"
    assert _labels(quick) == ["a"]
    with quick.database.read() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
    assert quick.shares.add("?" + "x" * 100_000, None).id


def test_a_read_only_store(quick: Store) -> None:
    with quick.database.read() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")
    assert _refused(quick) == "store_read_only"
    assert _labels(quick) == ["a"]


def test_somebody_else_writes_for_too_long(
    folder: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_MS", 50)
    folder.mkdir()
    shutil.copy(migrated, folder / "store.sqlite3")
    store = Store(None, folder)
    with closing(sqlite3.connect(folder / "store.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert _refused(store) == "store_busy"
        assert store.tokens.list() == [], "readers go on"
        other.execute("ROLLBACK")
    assert store.tokens.add(HASH, ("read",), "").id
    store.database.close()


def test_a_damaged_file_and_its_backup_put_in_its_place(quick: Store, folder: Path, migrated: Path) -> None:
    quick.database.close()
    file = folder / "store.sqlite3"
    whole = file.read_bytes()
    for damage in (b"no database at all" * 1000, whole[:100] + b"\xff" * (len(whole) - 100)):
        file.write_bytes(damage)
        assert _refused(quick) == "store_broken"
    spare = folder / "spare"
    spare.write_bytes(whole)
    spare.replace(file)
    assert _labels(quick) == ["a"]


def test_another_file_in_its_place_is_not_mistaken_for_it(quick: Store, folder: Path, migrated: Path) -> None:
    assert _labels(quick) == ["a"]
    shutil.copy(migrated, folder / "spare")
    for ending in ("-wal", "-shm"):
        (folder / f"store.sqlite3{ending}").unlink()
    (folder / "spare").replace(folder / "store.sqlite3")
    assert _labels(quick) == []
    quick.tokens.add("c" * 64, ("read",), "")
    assert _labels(quick) == ["c"]


def test_a_database_that_does_not_answer_is_not_asked_by_everyone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store("postgresql://127.0.0.1:1/none", tmp_path)
    assert _refused(store) == "store_unreachable"
    opened: list[object] = []

    def open_engine(address: object) -> object:
        opened.append(address)
        raise OSError(errno.ECONNREFUSED, "refused")

    monkeypatch.setattr(database, "open_engine", open_engine)
    assert _refused(store) == "store_unreachable"
    assert opened == []
    monkeypatch.setattr(store.database, "_rest_until", 0.0)
    assert _refused(store) == "store_unreachable"
    assert len(opened) == 1


def test_starting_without_the_database(tmp_path: Path) -> None:
    store = Store("postgresql://127.0.0.1:1/none", tmp_path)
    store.prepare()
    with pytest.raises(StoreDown):
        store.models.check()


class _SqliteError(sqlite3.OperationalError):
    def __init__(self, name: str) -> None:
        self.sqlite_errorname = name


class _PostgresError(psycopg.OperationalError):
    def __init__(self, code: str | None) -> None:
        self.code = code

    @property
    def sqlstate(self) -> str | None:  # type: ignore[override]
        return self.code


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (_SqliteError("SQLITE_FULL"), "store_full"),
        (_SqliteError("SQLITE_BUSY_SNAPSHOT"), "store_busy"),
        (_SqliteError("SQLITE_READONLY_DBMOVED"), "store_read_only"),
        (_SqliteError("SQLITE_CORRUPT"), "store_broken"),
        (_SqliteError("SQLITE_IOERR_READ"), "store_unreachable"),
        (_PostgresError("53100"), "store_full"),
        (_PostgresError("53300"), "store_busy"),
        (_PostgresError("57014"), "store_busy"),
        (_PostgresError("25006"), "store_read_only"),
        (_PostgresError("42P01"), "store_broken"),
        (_PostgresError("57P01"), "store_unreachable"),
        (_PostgresError(None), "store_unreachable"),
    ],
)
def test_what_databases_say(cause: Exception, code: str) -> None:
    assert describe(OperationalError("SELECT s3cret", {}, cause)).code == code


def test_what_systems_say() -> None:
    assert describe(OSError(errno.ENOSPC, "full")).code == "store_full"
    assert describe(PermissionError(errno.EACCES, "no")).code == "store_read_only"
    assert describe(ConnectionRefusedError(errno.ECONNREFUSED, "no")).code == "store_unreachable"
    assert describe(PoolTimeout()).code == "store_busy"


@pytest.mark.servers
def test_postgresql_stops_and_starts(tmp_path: Path) -> None:
    with postgresql_running() as server:
        store = Store(server.new_database(), tmp_path)
        store.tokens.add(HASH, ("read",), "")
        server.stop()
        assert _refused(store) == "store_unreachable"
        server.start()
        wait_until(lambda: _answers(store), "the store answers again")
        assert _labels(store) == ["a"]
        store.database.close()


def _answers(store: Store) -> bool:
    try:
        return bool(store.tokens.list())
    except StoreDown:
        return False


@pytest.mark.servers
def test_postgresql_that_never_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = Store(f"postgresql://127.0.0.1:{silent.getsockname()[1]}/none", tmp_path)
        assert _refused(store) == "store_unreachable"


@pytest.mark.servers
def test_tables_that_vanish_come_back_empty(database_url: str, tmp_path: Path) -> None:
    """Somebody drops everything under a running service: it says so once, then makes the tables anew."""
    store = Store(database_url, tmp_path)
    store.tokens.add(HASH, ("read",), "")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    assert _refused(store) == "store_broken"
    assert store.tokens.list() == []
    store.database.close()


@pytest.mark.servers
@pytest.mark.skipif(os.getuid() != 0, reason="only root mounts")
def test_a_disk_that_is_really_full(tmp_path: Path, migrated: Path) -> None:
    import subprocess

    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        shutil.copy(migrated, disk / "store.sqlite3")
        store = Store(None, disk)
        store.tokens.add(HASH, ("read",), "")
        (disk / "fill").write_bytes(b"")
        with pytest.raises(OSError, match="space"), (disk / "fill").open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        with pytest.raises(StoreDown) as error:
            store.shares.add("?" + "x" * 100_000, None)
        assert error.value.message.code == "store_full"
        assert _labels(store) == ["a"]
        (disk / "fill").unlink()
        assert store.shares.add("?" + "x" * 100_000, None).id
        store.database.close()
    finally:
        subprocess.run(["umount", "-l", disk], check=False)
