"""Users' models: names, torn files, several processes at once."""

import json
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from app.errors import BuiltinModel, DomainError, InvalidRequest, NameTaken, StoreDown, UnknownName
from app.registry.catalogue import Catalogue
from app.registry.models import ModelEntry, models
from app.registry.user_models import FolderModelStore, check_name, file_name

CONFIG = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}


def entry(name: str = "mine", repo_id: str | None = None, **config: object) -> ModelEntry:
    return ModelEntry(name, repo_id, {**CONFIG, **config}, builtin=False, source="test")


@pytest.fixture
def store(tmp_path: Path) -> FolderModelStore:
    return FolderModelStore(tmp_path / "models")


def test_an_empty_store_has_no_folder(store: FolderModelStore) -> None:
    assert store.list() == [] and store.get("x") is None and not store.delete("x")
    store.check()
    assert not store.folder.exists()


def test_put_get_replace_delete(store: FolderModelStore) -> None:
    other = FolderModelStore(store.folder)
    store.put(entry("Me/My_Model-1.5B", "hub/id"))
    for name in ("me/my-model-1.5b", "ME/MYMODEL15B", "hub/ID"):
        found = other.get(name)
        assert found is not None and found.name == "Me/My_Model-1.5B" and not found.builtin
        assert found.source == "test"
    with pytest.raises(NameTaken):
        other.put(entry("me/MY.MODEL.1.5B"))
    other.put(entry("Me/My_Model-1.5B", hidden_size=128), replace=True)
    changed = store.get("Me/My_Model-1.5B")
    assert changed is not None and changed.config["hidden_size"] == 128
    assert other.delete("me/my_model-1.5b") and not store.delete("me/my_model-1.5b")
    assert store.list() == []
    assert list(store.folder.iterdir()) == []


def test_every_change_is_seen_at_once(store: FolderModelStore) -> None:
    reader = FolderModelStore(store.folder)
    for size in range(100, 200):
        store.put(entry(hidden_size=size), replace=True)
        found = reader.get("mine")
        assert found is not None and found.config["hidden_size"] == size


def test_two_changes_within_one_tick_of_the_clock_are_seen(store: FolderModelStore) -> None:
    reader = FolderModelStore(store.folder)
    now = time.time()
    for size in (100, 200):
        store.put(entry(hidden_size=size), replace=True)
        os.utime(store.folder, (now, now))
        found = reader.get("mine")
        assert found is not None and found.config["hidden_size"] == size


def test_another_file_under_the_same_name_is_read_again(store: FolderModelStore) -> None:
    reader = FolderModelStore(store.folder)
    for age, size in ((7200, 100), (3600, 200)):
        store.put(entry(hidden_size=size), replace=True)
        then = time.time() - age
        for path in (store.folder / "mine.json", store.folder):
            os.utime(path, (then, then))
        found = reader.get("mine")
        assert found is not None and found.config["hidden_size"] == size


def test_an_unchanged_folder_costs_one_stat(store: FolderModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put(entry())
    for path in (*store.folder.iterdir(), store.folder):
        os.utime(path, (1, 1))
    assert store.get("mine") is not None
    monkeypatch.setattr(os, "scandir", lambda *_: pytest.fail("looked again"))
    first = store.get("mine")
    assert first is not None and first is store.get("mine")


@pytest.mark.parametrize(
    "name",
    [
        *[
            "",
            ".",
            "..",
            "../x",
            "a/../b",
            "/a",
            "a/",
            "a//b",
            "a/b/c",
            ".a",
            "-a",
            "a/.b",
            "a b",
            "a\n",
            "a\0",
        ],
        *["é", "a%2fb", "a\\b", "a" * 129, f"{'a' * 120}/{'b' * 120}"],
    ],
)
def test_names_that_could_harm_are_refused(store: FolderModelStore, name: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        store.put(entry(name))
    assert error.value.problems[0].field == "name"
    assert error.value.text("zh")
    assert not store.folder.exists()


@pytest.mark.parametrize("name", ["a", "Qwen3-mine", "a/b", "a..b", "1", f"{'a' * 100}/{'b' * 99}"])
def test_names_that_are_kept_in_the_folder(store: FolderModelStore, name: str) -> None:
    check_name(name)
    store.put(entry(name))
    (path,) = store.folder.iterdir()
    assert path.name == file_name(name)
    assert [each.name for each in store.list()] == [name]


def test_torn_and_foreign_files_are_named_and_skipped(store: FolderModelStore, tmp_path: Path) -> None:
    store.put(entry())
    whole = (store.folder / "mine.json").read_text()
    broken = {
        "torn.json": whole[: len(whole) // 2],
        "empty.json": "",
        "foreign.json": '{"name": "mine", "config": {}}',
        "list.json": "[]",
        "config.json": '{"name": "config", "config": []}',
        "meta.json": '{"name": "meta", "config": {}, "meta": 1}',
    }
    for name, text in broken.items():
        (store.folder / name).write_text(text)
    (store.folder / "binary.json").write_bytes(b"\xff\xfe")
    (store.folder / "notes.txt").write_text("left alone")
    (store.folder / ".new-abc.json").write_text("half")
    (store.folder / "link.json").symlink_to(tmp_path / "elsewhere")
    (store.folder / "folder.json").mkdir()
    assert [each.name for each in store.list()] == ["mine"]
    assert {problem.path.name for problem in store.problems} == {*broken, "binary.json"}
    (store.folder / "torn.json").unlink()
    assert store.get("mine") is not None
    assert "torn.json" not in {problem.path.name for problem in store.problems}


def test_a_store_that_is_no_folder_is_down(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = FolderModelStore(tmp_path / "file")
    for action in (store.list, store.check, lambda: store.put(entry())):
        with pytest.raises(StoreDown) as error:
            action()
        assert error.value.text("zh")


def _write_and_read(folder: Path, worker: int, rounds: int, failures: "multiprocessing.Queue[str]") -> None:
    store = FolderModelStore(folder)
    won = 0
    for number in range(rounds):
        store.put(entry("shared", hidden_size=worker * 1000 + number, padding="x" * 5000), replace=True)
        own = f"own-{worker}-{number}"
        store.put(entry(own))
        if store.get(own) is None:
            failures.put(f"{own} not seen by its writer")
        if store.get("shared") is None:
            failures.put("shared was gone for a moment")
        try:
            store.put(entry(f"race-{number}"))
            won += 1
        except NameTaken:
            pass
        if store.problems:
            failures.put(f"torn: {store.problems[0]}")
    store.put(entry(f"won-{worker}", won=won))


def test_several_processes_write_and_read(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    failures = context.Queue()
    workers, rounds = 4, 15
    processes = [
        context.Process(target=_write_and_read, args=(tmp_path, number, rounds, failures))
        for number in range(workers)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert failures.empty()
    store = FolderModelStore(tmp_path)
    names = {each.name for each in store.list()}
    assert {f"own-{w}-{n}" for w in range(workers) for n in range(rounds)} < names
    found = [store.get(f"won-{number}") for number in range(workers)]
    assert sum(each.config["won"] for each in found if each) == rounds  # each race has one winner
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.fixture
def catalogue(store: FolderModelStore) -> Catalogue:
    return Catalogue(models(), store)


@pytest.mark.parametrize(
    "name",
    [
        "Qwen3-0.6B",
        "qwen3_0_6b",
        "Qwen/Qwen3-0.6B",
        "meta-llama/Llama-3.1-8B-Instruct",
        "Llama-3.1-8B-Instruct",
    ],
)
def test_no_one_shadows_a_builtin_model(catalogue: Catalogue, name: str) -> None:
    with pytest.raises(NameTaken) as error:
        catalogue.add(entry(name))
    assert error.value.code == "name_taken" and name in error.value.text("zh")
    with pytest.raises(NameTaken):
        catalogue.add(entry("fresh", repo_id=name))
    assert catalogue.store.list() == []


def test_a_users_model_is_found_beside_the_builtin_ones(catalogue: Catalogue) -> None:
    real = models().get("Qwen3-0.6B").config
    catalogue.add(ModelEntry("mine", "me/repo", real))
    assert catalogue.get("MINE").architecture is not None
    assert catalogue.get("Qwen3-0.6B").builtin
    assert len(catalogue.all()) == len(models()) + 1
    with pytest.raises(NameTaken):
        catalogue.add(ModelEntry("other", "ME/repo", real))
    changed = catalogue.change("Mine", ModelEntry("ignored", None, {**real, "num_hidden_layers": 1}))
    assert changed.name == "mine"
    assert catalogue.get("mine").config["num_hidden_layers"] == 1
    catalogue.delete("MINE")
    for action in (catalogue.get, catalogue.delete, lambda name: catalogue.change(name, entry())):
        with pytest.raises(UnknownName):
            action("mine")


def test_a_config_that_does_not_read_stays_out(catalogue: Catalogue) -> None:
    with pytest.raises(DomainError):
        catalogue.add(ModelEntry("mine", None, {"model_type": "no-such-thing"}))
    assert catalogue.store.list() == []


def test_builtin_models_do_not_change(catalogue: Catalogue) -> None:
    for action in (catalogue.delete, lambda name: catalogue.change(name, entry())):
        with pytest.raises(BuiltinModel) as error:
            action("qwen3-0.6b")
        assert error.value.code == "builtin_model" and error.value.text("zh")


def test_an_unknown_name_offers_users_models_too(catalogue: Catalogue, store: FolderModelStore) -> None:
    store.put(entry("zzzz-own-thing"))
    with pytest.raises(UnknownName) as error:
        catalogue.get("zzzz-own-thin")
    assert error.value.closest[0] == "zzzz-own-thing"
    assert json.dumps(error.value.closest)
