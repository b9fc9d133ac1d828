"""A backup holds everything, is whole whatever happens meanwhile, and goes back into either database."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from app.errors import InvalidRequest, StoreDown
from app.registry.user_models import entry_of
from app.store import Store
from app.store.backup import back_up, restore
from app.store.records import EventKey, EventSum, NewEntry
from app.store.status import status

CONFIG = {"model_type": "llama", "hidden_size": 64, "notes": "中文 \0"}


def fill(store: Store) -> str:
    """Something in every table; the id of a share."""
    store.models.put(entry_of({"name": "mine", "config": CONFIG}))
    store.tokens.add("a" * 64, ("read",), "x", expires=2e9)
    store.calibrations.put("me", "ours", "inference", {"compute": 0.5})
    store.history.add([NewEntry("me", "k", {"a": 1}, {"b": [1.5]}, "", float(n)) for n in range(3)], most=9)
    store.events.add([(EventKey(5, "open", ""), EventSum.one(2.0))])
    job = store.sweeps.create("me", {"q": 1}, 10)
    store.sweeps.claim("r", 60)
    store.sweeps.add_part(job.id, 0, 10, bytes(range(256)) * 500)
    return store.shares.add("?mode=x", None).id


def everything(store: Store) -> dict[str, list[tuple[object, ...]]]:
    names = ("tokens", "registered_models", "calibrations", "history", "shares", "events", "sweep_parts")
    with store.database.read() as connection:
        return {
            name: sorted((tuple(row) for row in connection.execute(text(f"SELECT * FROM {name}"))), key=repr)
            for name in names
        }


def test_there_and_back(store: Store, url: str | None, folder: Path, tmp_path: Path) -> None:
    share = fill(store)
    before, file = everything(store), tmp_path / "backup.sqlite3"
    rows = back_up(store.database, file)
    assert rows == {"tokens": 1, "registered_models": 1, "calibrations": 1, "history": 3, "shares": 1,
                    "events": 1, "sweep_jobs": 1, "sweep_parts": 1}  # fmt: skip
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(".")] == []
    other = Store(url, folder)
    assert other.models.get("mine") is not None
    store.shares.add("?later", None)
    store.history.clear("me")
    store.models.delete("mine")
    assert restore(store.database, file, replace=True) == rows
    assert everything(store) == before
    found = other.models.get("mine")
    assert found is not None and found.config == CONFIG, "other processes see it at once"
    assert store.shares.get(share) is not None
    store.history.add([NewEntry("me", "k", {}, {}, "", 9.0)], most=9)
    store.calibrations.put("me", "new", "inference", {})
    assert store.history.page("me")[1] == 4, "numbers go on after those that came back"
    other.database.close()


@pytest.mark.servers
def test_from_sqlite_to_postgresql_and_back(tmp_path: Path, database_url: str) -> None:
    small, large, again = (
        Store(None, tmp_path / "a"),
        Store(database_url, tmp_path),
        Store(None, tmp_path / "b"),
    )
    fill(small)
    back_up(small.database, tmp_path / "1")
    restore(large.database, tmp_path / "1")
    back_up(large.database, tmp_path / "2")
    restore(again.database, tmp_path / "2")
    with small.database.read() as one, again.database.read() as other:
        for table in ("tokens", "registered_models", "history", "events", "sweep_parts", "sweep_jobs"):
            rows = [
                [dict(row) for row in each.execute(text(f"SELECT * FROM {table}")).mappings()]
                for each in (one, other)
            ]
            assert rows[0] == rows[1], table
    for each in (small, large, again):
        each.database.close()


def test_a_store_that_holds_something_is_not_written_over(store: Store, tmp_path: Path) -> None:
    fill(store)
    back_up(store.database, tmp_path / "1")
    before = everything(store)
    with pytest.raises(InvalidRequest) as error:
        restore(store.database, tmp_path / "1")
    assert error.value.problems[0].message.code == "store_not_empty"
    assert everything(store) == before


def test_a_backup_is_never_written_over(store: Store, tmp_path: Path) -> None:
    (tmp_path / "1").write_text("precious")
    with pytest.raises(InvalidRequest):
        back_up(store.database, tmp_path / "1")
    assert (tmp_path / "1").read_text() == "precious"
    with pytest.raises(InvalidRequest):
        back_up(store.database, tmp_path / "no" / "folder" / "2")


@pytest.mark.parametrize("content", [b"", b"no database", None, "empty", "newer"])
def test_what_is_no_backup(store: Store, tmp_path: Path, content: bytes | str | None) -> None:
    fill(store)
    before, file = everything(store), tmp_path / "1"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        back_up(store.database, file)
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            statement = "DROP TABLE" if content == "empty" else "UPDATE"
            connection.execute(
                f"{statement} alembic_version" + (" SET version_num = '9999'" * (content == "newer"))
            )
    with pytest.raises(InvalidRequest) as error:
        restore(store.database, file, replace=True)
    assert error.value.text("zh")
    assert everything(store) == before


def test_a_torn_backup_changes_nothing(store: Store, tmp_path: Path) -> None:
    fill(store)
    back_up(store.database, tmp_path / "1")
    before, whole = everything(store), (tmp_path / "1").read_bytes()
    (tmp_path / "1").write_bytes(whole[: len(whole) // 2])
    with pytest.raises((InvalidRequest, StoreDown)):
        restore(store.database, tmp_path / "1", replace=True)
    assert everything(store) == before


def test_a_backup_is_of_one_moment(store: Store, tmp_path: Path) -> None:
    """While others write pairs of rows, a backup has both or neither of each."""
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            pair = [NewEntry(f"owner-{number}", "k", {}, {}, "", 1.0)] * 2
            store.history.add(pair, most=9)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            rows = back_up(store.database, tmp_path / str(number))
            assert rows["history"] % 2 == 0
    finally:
        stop.set()
        writer.join(60)


def test_status_changes_nothing(store: Store, url: str | None, tmp_path: Path) -> None:
    empty = Store(None, tmp_path / "none")
    assert status(empty.database)["version"] is None
    assert not (tmp_path / "none").exists()
    store.tokens.add("a" * 64, ("read",), "")
    found = status(store.database)
    assert found["version"] == "0001" and found["rows"]["tokens"] == 1
    if url is not None:
        assert "s3cret" not in status(Store(url.replace("@", ":s3cret@"), tmp_path).database)["database"]
