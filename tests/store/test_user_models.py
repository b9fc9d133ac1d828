"""Users' models in the store: spellings, what every process sees, what it costs, the store going away."""

import multiprocessing
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.errors import NameTaken, StoreDown
from app.messages import Message
from app.registry.models import ModelEntry
from app.registry.user_models import UserModelStore
from app.store import Store
from app.store.model_rows import ModelRows

CONFIG = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}


def entry(name: str = "mine", repo_id: str | None = None, **config: object) -> ModelEntry:
    return ModelEntry(name, repo_id, {**CONFIG, **config}, builtin=False, source="test")


@pytest.fixture
def models(store: Store) -> UserModelStore:
    return store.models


@pytest.fixture
def other(store: Store, url: str | None, folder: Path) -> Iterator[UserModelStore]:
    """The same models, as another process sees them."""
    second = Store(url, folder)
    yield second.models
    second.database.close()


def test_nothing_is_made_by_looking(tmp_path: Path) -> None:
    models = Store(None, tmp_path / "data").models
    assert models.list() == models.last_known() == [] and models.get("x") is None and not models.delete("x")
    models.check()
    assert not (tmp_path / "data").exists()


def test_put_get_replace_delete(models: UserModelStore, other: UserModelStore) -> None:
    models.put(entry("Me/My_Model-1.5B", "hub/id"))
    for name in ("me/my-model-1.5b", "ME/MYMODEL15B", "hub/ID"):
        found = other.get(name)
        assert found is not None and found.name == "Me/My_Model-1.5B" and not found.builtin
        assert found.source == "test"
    with pytest.raises(NameTaken):
        other.put(entry("me/MY.MODEL.1.5B"))
    other.put(entry("Me/My_Model-1.5B", hidden_size=128), replace=True)
    changed = models.get("Me/My_Model-1.5B")
    assert changed is not None and changed.config["hidden_size"] == 128
    assert other.delete("me/my_model-1.5b") and not models.delete("me/my_model-1.5b")
    assert models.list() == []


def test_every_change_is_seen_at_once(models: UserModelStore, other: UserModelStore) -> None:
    for size in range(100, 130):
        models.put(entry(hidden_size=size), replace=True)
        found = other.get("mine")
        assert found is not None and found.config["hidden_size"] == size


def test_unchanged_models_are_read_once(
    models: UserModelStore, other: UserModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.put(entry())
    models.put(entry("second"))
    first = other.get("mine")
    models.put(entry("second", hidden_size=1), replace=True)
    assert first is other.get("mine"), "what it has worked out stays"
    monkeypatch.setattr(ModelRows, "all", lambda _: pytest.fail("read again"))
    assert first is other.get("mine")


def test_by_name(models: UserModelStore) -> None:
    for name in ("b", "a", "c"):
        models.put(entry(name))
    assert [each.name for each in models.list()] == ["a", "b", "c"]


def test_a_service_without_users_models_imports_no_database_library(
    tmp_path: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "store.sqlite3").write_bytes(migrated.read_bytes())
    for name in ("database", "model_rows", "folder_import"):
        monkeypatch.setitem(sys.modules, f"app.store.{name}", None)
    models = Store(None, tmp_path).models
    assert models.get("x") is None and models.list() == []


def test_while_the_store_is_down(
    models: UserModelStore, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.put(entry())
    assert models.get("mine") is not None
    monkeypatch.setattr(type(models), "_number", _down)
    assert models.get("mine") is not None, "what was read before"
    assert [each.name for each in models.last_known()] == ["mine"]
    for action in (models.list, models.check, lambda: models.get("never seen")):
        with pytest.raises(StoreDown):
            action()


def _down(_: object) -> int:
    raise StoreDown(Message("store_unreachable"))


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    models = Store(None, tmp_path / "file").models
    for action in (models.check, lambda: models.put(entry())):
        with pytest.raises(StoreDown) as error:
            action()
        assert error.value.text("zh")


def _write_and_read(url: str | None, folder: Path, worker: int, rounds: int, failures: Any) -> None:
    store = Store(url, folder)
    models, won = store.models, 0
    for number in range(rounds):
        models.put(entry("shared", hidden_size=worker * 1000 + number, padding="x" * 5000), replace=True)
        models.put(entry(f"own-{worker}-{number}"))
        if models.get(f"own-{worker}-{number}") is None or models.get("shared") is None:
            failures.put(f"worker {worker} misses a model in round {number}")
        try:
            models.put(entry(f"race-{number}"))
            won += 1
        except NameTaken:
            pass
    models.put(entry(f"won-{worker}", won=won))
    store.database.close()


def test_several_processes_write_and_read(store: Store, url: str | None, folder: Path) -> None:
    context = multiprocessing.get_context("fork")
    failures = context.Queue()
    workers, rounds = 3, 6
    assert store.models.list() == []  # the parent has connections of its own when it forks
    processes = [
        context.Process(target=_write_and_read, args=(url, folder, number, rounds, failures))
        for number in range(workers)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert failures.empty()
    names = {each.name for each in store.models.list()}
    assert {f"own-{w}-{n}" for w in range(workers) for n in range(rounds)} < names
    found = [store.models.get(f"won-{number}") for number in range(workers)]
    assert sum(each.config["won"] for each in found if each) == rounds  # each race has one winner


def test_a_forked_process_opens_connections_of_its_own(store: Store) -> None:
    store.models.put(entry())
    context = multiprocessing.get_context("fork")
    asked = context.Queue()
    child = context.Process(target=_ask, args=(store, asked))
    child.start()
    assert asked.get(timeout=60) == ["from-the-child", "mine"]
    child.join(60)
    assert child.exitcode == 0
    assert [each.name for each in store.models.list()] == ["from-the-child", "mine"]


def _ask(store: Store, asked: Any) -> None:
    store.models.put(entry("from-the-child"))
    asked.put([each.name for each in store.models.list()])
    asked.close()
    asked.join_thread()
    store.database.close()
