"""docs/operating.md: what it names is there, and backing up and restoring works as it says."""

import http.client
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli.main import program
from test_api import LLAMA, ask
from tests.servers import PATIENCE, PostgreSQL, Replica, replica_running

from .files import ROOT, VARIABLES, extras

TEXT = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
# A variable of docker-compose.yml, and a method.
OTHERS = {"PUBLISH", "POST"}


def test_variables_are_settings() -> None:
    named = set(re.findall(r"`([A-Z][A-Z_]{3,})\b", TEXT))
    assert {"DATABASE_URL", "REDIS_URL", "LLM_ESTIMATE_PROXIES"} <= named
    assert named - OTHERS <= VARIABLES


def test_files_are_there() -> None:
    links = [ROOT / "docs" / link for link in re.findall(r"\]\(([^)#]+)", TEXT)]
    scripts = [ROOT / name for name in re.findall(r"(?:\./|deploy/)[\w/-]+\.(?:sh|yaml)", TEXT)]
    assert links
    assert scripts
    for path in links + scripts:
        assert path.exists(), path


def test_commands_and_extras_are_there() -> None:
    for command in set(re.findall(r"llm-estimate ((?:db|token) \w+|serve|settings)\b", TEXT)):
        assert CliRunner().invoke(program, [*command.split(), "--help"]).exit_code == 0, command
    for brackets in re.findall(r"llm-estimate\[([\w,]+)\]|EXTRAS=([\w,]+)|airgap\.sh \w+ ([\w,]+)", TEXT):
        assert set("".join(brackets).split(",")) <= extras()


def test_both_readmes_lead_here() -> None:
    for name in ("README.md", "README.zh.md"):
        assert "(docs/operating.md)" in (ROOT / name).read_text(encoding="utf-8")


def _run(url: str, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "llm_estimate.py", *words],
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _location(replica: Replica, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", replica.port, timeout=PATIENCE)
    connection.request("GET", path)
    reply = connection.getresponse()
    connection.close()
    return reply.status, reply.headers.get("Location", "")


@pytest.mark.servers
def test_a_backup_restores_into_another_database(postgresql: PostgreSQL, tmp_path: Path) -> None:
    first, second = postgresql.new_database(), postgresql.new_database()
    file = tmp_path / "backup.sqlite3"
    with replica_running(DATABASE_URL=first, LLM_ESTIMATE_WORKERS="1") as replica:
        assert ask(replica.url, "POST", "/api/models", {"name": "kept", "config": LLAMA})[0] == 201
        share = json.loads(ask(replica.url, "POST", "/api/shares", {"state": "?model_name=kept"})[2])
        _run(first, "db", "backup", str(file))  # while the service goes on
        assert ask(replica.url, "DELETE", "/api/models/kept")[0] == 204
    _run(second, "db", "restore", str(file))
    with replica_running(DATABASE_URL=second, LLM_ESTIMATE_WORKERS="1") as replica:
        assert ask(replica.url, "GET", "/api/models/kept")[0] == 200
        assert _location(replica, share["url"]) == (302, "/?model_name=kept")
        _run(second, "db", "backup", str(tmp_path / "again.sqlite3"))
        assert ask(replica.url, "DELETE", "/api/models/kept")[0] == 204
        _run(second, "db", "restore", "--replace", str(tmp_path / "again.sqlite3"))
        assert ask(replica.url, "GET", "/api/models/kept")[0] == 200


@pytest.mark.servers
def test_a_store_moves_from_sqlite_to_postgresql(postgresql: PostgreSQL, tmp_path: Path) -> None:
    url, file = postgresql.new_database(), tmp_path / "moved.sqlite3"
    old = f"sqlite:///{tmp_path / 'old.sqlite3'}"
    with replica_running(DATABASE_URL=old, LLM_ESTIMATE_WORKERS="1") as replica:
        assert ask(replica.url, "POST", "/api/models", {"name": "moved", "config": LLAMA})[0] == 201
    _run(old, "db", "backup", str(file))
    _run(url, "db", "restore", str(file))
    with replica_running(DATABASE_URL=url, LLM_ESTIMATE_WORKERS="1") as replica:
        assert ask(replica.url, "GET", "/api/models/moved")[0] == 200
