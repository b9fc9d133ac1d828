"""The index tells where each name is written; a name is found whether or not its file was read before."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.architecture.families import FAMILIES, index
from app.architecture.families.index import Table

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True)


def test_the_index_is_what_the_files_sign_up() -> None:
    check = run("scripts/index_families.py", "--check")
    assert check.returncode == 0, f"{check.stdout}\nrun: python scripts/index_families.py\n{check.stderr}"


def test_a_question_reads_the_files_of_its_own_lineage_only() -> None:
    code = (
        "import sys; from app.architecture import read_config; read_config({'model_type': 'rwkv'});"
        "print(*sorted(name.rpartition('.')[2] for name in sys.modules if '.families.' in name))"
    )
    files = run("-c", code).stdout.split()
    assert "rwkv" in files
    assert len(files) < 12


def test_a_file_that_is_not_in_the_index_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {file: tables for file, tables in index.index().items() if file != "rwkv"}
    asked: list[str] = []
    monkeypatch.setattr(index, "index", lambda: known)
    monkeypatch.setattr(index, "read", asked.append)
    index.read_new()
    assert asked == ["rwkv"]


def test_a_table_is_a_mapping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "index", lambda: {"here": {"families": ["far"]}})
    table: Table[int] = Table("families")
    monkeypatch.setattr(index, "read", lambda file: table.update(far=len(file)))
    assert "far" in table
    assert len(table) == 1
    assert list(table) == ["far"]
    assert table.get("near") is None
    assert table["far"] == 4
    table["near"] = 2
    del table["far"]
    assert dict(table) == {"near": 2}


def test_every_name_leads_to_its_writer() -> None:
    assert all(callable(FAMILIES[name]) for name in FAMILIES)
