"""Models of the folder that there was before: taken in once, broken files named."""

import json
import logging
from pathlib import Path

import pytest

from app.registry.user_models import entry_of
from app.store import Store
from app.store.address import FILE_NAME

CONFIG = {"model_type": "llama", "hidden_size": 64}


@pytest.fixture
def old(folder: Path) -> Path:
    """The folder with a few models, written as they used to be."""
    models = folder / "models"
    models.mkdir(parents=True)
    for name, file in (("mine", "mine.json"), ("Me/My_Model", "me%2fmy-model.json")):
        _write(models / file, {"name": name, "repo_id": None, "meta": {"source": "user"}, "config": CONFIG})
    return models


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture
def both(url: str | None, folder: Path) -> Store:
    return Store(url, folder)


def test_they_are_there_from_the_start(both: Store, old: Path, folder: Path, url: str | None) -> None:
    both.prepare()
    assert [each.name for each in both.models.list()] == ["Me/My_Model", "mine"]
    found = both.models.get("me/my-model")
    assert found is not None and found.config == CONFIG and found.source == "user"
    both.models.delete("mine")
    both.database.close()
    _write(old / "late.json", {"name": "late", "config": CONFIG})
    again = Store(url, folder)
    again.prepare()
    assert [each.name for each in again.models.list()] == ["Me/My_Model"], "once is once"
    again.database.close()


def test_they_are_there_without_a_start_too(both: Store, old: Path) -> None:
    assert both.models.get("mine") is not None
    both.database.close()


def test_a_model_of_the_store_keeps_its_name(url: str | None, folder: Path) -> None:
    first = Store(url, folder)
    first.models.put(entry_of({"name": "MINE", "config": {**CONFIG, "hidden_size": 1}}))
    first.database.close()
    (folder / "models").mkdir(parents=True)
    _write(folder / "models" / "mine.json", {"name": "mine", "config": CONFIG})
    again = Store(url, folder)
    (found,) = again.models.list()
    assert found.name == "MINE" and found.config["hidden_size"] == 1
    again.database.close()


def test_broken_files_are_named_and_left(both: Store, old: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = (old / "mine.json").read_text()
    broken = {
        "torn.json": whole[: len(whole) // 2],
        "empty.json": "",
        "foreign.json": '{"name": "mine", "config": {}}',
        "list.json": "[]",
        "config.json": '{"name": "config", "config": []}',
        "meta.json": '{"name": "meta", "config": {}, "meta": 1}',
    }
    for name, text in broken.items():
        (old / name).write_text(text)
    (old / "binary.json").write_bytes(b"\xff\xfe")
    (old / "notes.txt").write_text("left alone")
    (old / ".new-abc.json").write_text("half")
    (old / "link.json").symlink_to(old / "elsewhere")
    (old / "folder.json").mkdir()
    logger = logging.getLogger("llm_estimate")
    propagates, logger.propagate = logger.propagate, True
    try:
        both.prepare()
    finally:
        logger.propagate = propagates
    assert [each.name for each in both.models.list()] == ["Me/My_Model", "mine"]
    named = {record.getMessage() for record in caplog.records if "not imported" in record.getMessage()}
    for name in (*broken, "binary.json"):
        assert any(name in each for each in named), name
    assert len(named) == len(broken) + 1
    assert whole == (old / "mine.json").read_text(), "files stay"
    both.database.close()


def test_a_folder_of_torn_files_makes_no_model(folder: Path) -> None:
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "torn.json").write_text('{"name": "to')
    store = Store(None, folder)
    store.prepare()
    assert store.models.list() == []
    assert (folder / FILE_NAME).exists()
    store.database.close()
