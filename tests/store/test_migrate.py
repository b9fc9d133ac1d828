"""Migrations: equal to the tables, run once whoever starts, and the look that saves the start from them."""

import multiprocessing
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from app.store import Store, current, migrate
from app.store.address import read_address
from app.store.current import HEAD, look
from app.store.database import Database
from app.store.engine import open_engine
from app.store.tables import Base


def test_the_newest_migration_is_the_one_named() -> None:
    script = ScriptDirectory(str(migrate.SCRIPTS))
    assert script.get_current_head() == HEAD
    revisions = [each.revision for each in script.walk_revisions()]
    assert sorted(revisions, reverse=True) == revisions, "numbers tell which is newer"


def test_migrations_make_the_tables(store: Store) -> None:
    with store.database.write() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        assert migrate.version(connection) == HEAD


def test_constraints_are_called_as_the_tables_say(store: Store) -> None:
    """Alembic does not compare these names; later migrations will speak of them."""
    plain = create_engine("sqlite://")
    Base.metadata.create_all(plain)
    with store.database.read() as connection:
        assert _names(inspect(connection)) == _names(inspect(plain))


def _names(found: Any) -> set[tuple[str, str | None]]:
    return {
        (table, each["name"])
        for table in found.get_table_names()
        if table != "alembic_version"
        for each in (
            found.get_pk_constraint(table),
            *found.get_foreign_keys(table),
            *found.get_unique_constraints(table),
            *(index for index in found.get_indexes(table) if not index["unique"]),
        )
    }


def test_there_and_back(store: Store) -> None:
    with store.database.write() as connection:
        migrate.downgrade(connection, "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]
        migrate.upgrade(connection)
    assert store.tokens.list() == []


def test_a_migration_that_fails_changes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.database.write() as connection:
        migrate.downgrade(connection, "base")
    monkeypatch.setattr(migrate, "upgrade", _torn)
    fresh = Database(store.address)
    with pytest.raises(RuntimeError, match="torn"):
        fresh.prepare()
    monkeypatch.undo()
    fresh.prepare()
    assert store.tokens.list() == []
    fresh.close()


def _torn(connection: Any) -> None:
    connection.execute(text("CREATE TABLE tokens (id VARCHAR)"))
    raise RuntimeError("torn")


def test_a_newer_store_is_left_as_it_is(store: Store) -> None:
    """A replica of the version before goes on while a newer one is being rolled out."""
    with store.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.database.close()
    store.tokens.add("a" * 64, ("read",), "")
    with store.database.read() as connection:
        assert migrate.version(connection) == "9999"


def _start(url: str | None, folder: Path, number: int, gate: Any) -> None:
    store = Store(url, folder)
    gate.wait(60)
    store.prepare()
    for index in range(5):
        store.tokens.add(f"{number}-{index}", ("read",), "")
        store.events.add([])
    store.database.close()


def test_many_processes_start_at_once(url: str | None, folder: Path) -> None:
    """Each migrates where that is due; a second migration would fail over the tables that are there."""
    context = multiprocessing.get_context("fork")
    gate = context.Barrier(5)
    processes = [context.Process(target=_start, args=(url, folder, number, gate)) for number in range(4)]
    for process in processes:
        process.start()
    gate.wait(60)
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    store = Store(url, folder)
    assert len(store.tokens.list()) == 20
    with store.database.read() as connection:
        assert connection.scalars(text("SELECT version_num FROM alembic_version")).all() == [HEAD]
    store.database.close()


def test_a_look_tells_without_a_database_library(folder: Path, migrated: Path, tmp_path: Path) -> None:
    assert look(migrated) == {}
    assert look(folder / "none") is None
    torn = tmp_path / "torn"
    torn.write_bytes(migrated.read_bytes()[:5000])
    assert look(torn) is None
    empty = tmp_path / "empty"
    empty.touch()
    assert look(empty) is None
    assert empty.stat().st_size == 0


def test_a_look_sees_an_older_store_and_one_without_wal(tmp_path: Path, migrated: Path) -> None:
    old = tmp_path / "old"
    old.write_bytes(migrated.read_bytes())
    with closing(sqlite3.connect(old, isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    assert look(old) is None
    plain = tmp_path / "plain"
    plain.write_bytes(migrated.read_bytes())
    with closing(sqlite3.connect(plain)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    assert look(plain) is None
    Database(read_address(f"sqlite:///{plain}", tmp_path)).prepare()
    assert look(plain) == {}


def test_preparing_a_ready_store_opens_nothing(
    folder: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir()
    (folder / "store.sqlite3").write_bytes(migrated.read_bytes())
    monkeypatch.setattr(Database, "prepare", lambda _: pytest.fail("opened"))
    Store(None, folder).prepare()
    Store(None, folder / "untouched").prepare()
    assert not (folder / "untouched").exists()


def test_an_older_store_is_migrated_at_the_start(folder: Path, migrated: Path) -> None:
    folder.mkdir()
    file = folder / "store.sqlite3"
    file.write_bytes(migrated.read_bytes())
    address = read_address(None, folder)
    engine = open_engine(address)
    with engine.begin() as connection:
        migrate.downgrade(connection, "base")
    engine.dispose()
    Store(None, folder).prepare()
    assert current.look(file) == {}


def test_the_file_is_for_its_owner_only(folder: Path) -> None:
    store = Store(None, folder)
    store.tokens.add("a" * 64, ("read",), "")
    kept = [path for path in folder.iterdir() if not path.name.endswith(".lock")]
    assert {path.name for path in kept} >= {"store.sqlite3", "store.sqlite3-wal"}
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}
    store.database.close()


def test_threads_migrate_databases_of_their_own(tmp_path: Path) -> None:
    """Alembic keeps the environment it is in for the whole process: side by side, one ran on the other's."""
    stores = [Store(f"sqlite:///{tmp_path}/{number}.sqlite3", tmp_path) for number in range(8)]
    gate = Barrier(len(stores))

    def start(store: Store) -> str | None:
        gate.wait()
        store.database.prepare()
        with store.database.read() as connection:
            return migrate.version(connection)

    with ThreadPoolExecutor(len(stores)) as pool:
        assert set(pool.map(start, stores)) == {HEAD}
