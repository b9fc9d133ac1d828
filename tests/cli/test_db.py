"""`db`: looking after the store from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.store import Store

from .conftest import Run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of the commands; the fixture `run` names another."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'store.sqlite3'}")
    return tmp_path


def _asked(run: Run, *arguments: str) -> dict[str, Any]:
    done = run("db", *arguments, "--format", "json")
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def test_looking_makes_nothing(run: Run, folder: Path) -> None:
    assert _asked(run, "status")["version"] is None
    assert list(folder.iterdir()) == []
    assert _asked(run, "upgrade")["version"] == "0001"
    assert "store.sqlite3" in run("db", "status").stdout


def test_back_up_lose_and_restore(run: Run, folder: Path) -> None:
    store = Store(f"sqlite:///{folder / 'store.sqlite3'}", folder)
    share = store.shares.add("?a=1", None)
    file = str(folder / "backup")
    assert _asked(run, "backup", file)["rows"]["shares"] == 1
    again = run("db", "backup", file)
    assert again.exit_code == 2 and "already" in again.stderr
    store.shares.expire(1e12)
    store.close()
    for path in folder.glob("store.sqlite3*"):
        path.unlink()
    assert _asked(run, "restore", file)["rows"]["shares"] == 1
    assert store.shares.get(share.id) == share
    refused = run("db", "restore", file)
    assert refused.exit_code == 2 and "--replace" in refused.stderr
    assert _asked(run, "restore", file, "--replace")["rows"]["shares"] == 1
    store.close()


def test_forget_what_is_old(run: Run, folder: Path) -> None:
    store = Store(f"sqlite:///{folder / 'store.sqlite3'}", folder)
    store.shares.add("?a=1", -1.0)
    assert _asked(run, "purge")["rows"] == {"history": 0, "shares": 1, "events": 0, "sweeps": 0}
    store.close()


def test_a_store_that_is_away(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/none")
    done = run("db", "status")
    assert done.exit_code == 5 and "does not answer" in done.stderr and "127.0.0.1" not in done.stderr
