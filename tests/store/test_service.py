"""The store inside a real service: what a start costs it, and what its end must not lose."""

import json
import os
import sqlite3
import subprocess
import sys
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from app.store import Store
from tests.servers import Replica, folder_for, wait_until

ME = {"X-Browser-Id": "8sEvJ1zBzZ3Zkq0m1dYcVQ", "Content-Type": "application/json"}

pytestmark = pytest.mark.slow

_START = """
import sys
from app.api.application import create_app
app = create_app()
client = app.test_client()
assert client.get("/health/ready").status_code == 200
assert client.post("/api/memory/inference", json={"model_name": "Qwen3-0.6B"}).status_code == 200
assert client.get("/api/models/nobodys").status_code == 404
assert client.get("/").status_code == 200
heavy = {"sqlalchemy", "alembic", "psycopg"} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize("ready", [False, True])
def test_a_start_imports_no_database_library(tmp_path: Path, ready: bool) -> None:
    if ready:
        Store(None, tmp_path).database.prepare()
    environment = {**os.environ, "LLM_ESTIMATE_DATA": str(tmp_path), "LLM_ESTIMATE_ACCESS_LOG": "false"}
    environment.pop("DATABASE_URL", None)
    done = subprocess.run(
        [sys.executable, "-c", _START], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert ready == (tmp_path / "store.sqlite3").exists(), "looking makes nothing"


def _ask(replica: Replica, path: str, body: object) -> int:
    request = urllib.request.Request(replica.url + path, json.dumps(body).encode(), ME)
    with urllib.request.urlopen(request, timeout=60) as reply:
        return int(reply.status)


def test_a_service_that_is_told_to_stop_writes_what_waits() -> None:
    with folder_for("store") as folder:
        data = folder / "data"
        Store(None, data).database.prepare()
        replica = Replica(
            folder, LLM_ESTIMATE_DATA=str(data), LLM_ESTIMATE_HISTORY="true", LLM_ESTIMATE_WORKERS="1"
        )
        with replica:
            _ask_both(replica)
            wait_until(lambda: _kept(data) == (1, 1), "the first are written, so its writer is up")
            for _ in range(20):
                _ask_both(replica)
            assert replica.stop() == 0
        assert _kept(data) == (21, 21)


def _ask_both(replica: Replica) -> None:
    assert _ask(replica, "/api/memory/inference", {"model_name": "Qwen3-0.6B"}) == 200
    assert _ask(replica, "/api/analytics", {"event": "asked"}) == 202


def _kept(data: Path) -> tuple[int, int]:
    """Entries of history, and events."""
    with closing(sqlite3.connect(data / "store.sqlite3")) as connection:
        (entries,) = connection.execute("SELECT count(*) FROM history").fetchone()
        (events,) = connection.execute("SELECT coalesce(sum(count), 0) FROM events").fetchone()
    return int(entries), int(events)
