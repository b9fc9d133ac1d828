"""Tokens and settings on the command line."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.api.application import create_app
from app.cli.main import program
from app.settings import SETTINGS, read_settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def run(folder: Path, *words: str) -> Result:
    environment = {"LLM_ESTIMATE_DATA": str(folder), "COLUMNS": "200", "LLM_ESTIMATE_TOKEN": "hush-4711"}
    return CliRunner(env=environment).invoke(program, words, prog_name="llm-estimate")


def test_a_token_is_made_works_and_is_revoked(folder: Path) -> None:
    made = run(folder, "token", "create", "--scope", "write", "--label", "pipeline", "--days", "30")
    assert made.exit_code == 0, made.stderr
    token = made.stdout.split()[-1]
    client = create_app(read_settings({}, host="0.0.0.0", data_folder=folder, access_log=False)).test_client()
    bearer = {"Authorization": f"Bearer {token}"}
    assert client.post("/api/models", json={}, headers=bearer).status_code == 400
    (kept,) = json.loads(run(folder, "token", "list", "--format", "json").stdout)["tokens"]
    assert (kept["label"], kept["scopes"], kept["valid"]) == ("pipeline", ["write"], True)
    assert token not in json.dumps(kept)
    assert run(folder, "token", "revoke", kept["id"]).exit_code == 0
    client.application.extensions["tokens"]._kept.clear()  # as after the seconds that it keeps them
    assert client.post("/api/models", json={}, headers=bearer).status_code == 403
    again = run(folder, "token", "revoke", kept["id"])
    assert again.exit_code == 2
    assert kept["id"] in again.stderr


def test_the_list_is_a_table(folder: Path) -> None:
    run(folder, "token", "create", "--label", "somebody's")
    shown = run(folder, "token", "list")
    assert "somebody's" in shown.stdout
    assert "read" in shown.stdout


def test_settings_are_listed_without_secrets(folder: Path) -> None:
    shown = run(folder, "settings")
    for setting in SETTINGS:
        assert setting.variable in shown.stdout
    assert "hush" not in shown.stdout + run(folder, "settings", "--format", "json").stdout


def test_the_help_of_serving_lists_them_too(folder: Path) -> None:
    shown = run(folder, "serve", "--help").stdout
    for setting in SETTINGS:
        assert setting.variable in shown
