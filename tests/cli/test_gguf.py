"""`inspect FILE.gguf`: files of this machine, read here whoever else is asked."""

import csv
import io
import json
from pathlib import Path

import pytest

from ..registry.gguf_writer import gguf, llama
from .conftest import Run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "Tiny-Q4_K_M.gguf"
    path.write_bytes(gguf(*llama(kinds={"attn_v": "Q6_K"})))
    return path


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Of an architecture whose metadata makes no configuration."""
    path = tmp_path / "other.gguf"
    path.write_bytes(gguf(*llama(architecture="nobody")))
    return path


def test_tables_show_types_metadata_and_layers(run: Run, file: Path) -> None:
    done = run("inspect", str(file))
    assert done.exit_code == 0, done.stderr
    for word in ("1,197,312", "q4_k_m", "Q6_K", "tokenizer.ggml.tokens", "[32]", "model.layers.{}."):
        assert word in done.stdout


def test_tensors_under_their_own_names(run: Run, file: Path) -> None:
    done = run("inspect", str(file), "--tensors", "--limit", "3")
    assert "blk.0.attn_q.weight" in done.stdout and "36,864" in done.stdout
    assert "blk.0.attn_k.weight" not in done.stdout
    answer = json.loads(run("inspect", str(file), "--tensors", "--format", "json").stdout)
    assert sum(each["bytes"] for each in answer["tensors"]) == answer["checkpoint_bytes"]
    assert answer["gguf"]["file_bytes"] == file.stat().st_size


def test_a_file_without_a_configuration_shows_what_it_has(run: Run, other: Path) -> None:
    done = run("inspect", str(other), "--format", "json", "--language", "zh")
    answer = json.loads(done.stdout)
    assert answer["gguf"]["architecture"] == "nobody"
    assert [each["code"] for each in answer["warnings"]] == ["gguf_no_config"]
    assert "元数据" in run("inspect", str(other), "--language", "zh").stdout
    rows = list(csv.DictReader(io.StringIO(run("inspect", str(other), "--format", "csv").stdout)))
    assert [row["type"] for row in rows] == ["Q4_K", "F32"]
    assert sum(int(row["bytes"]) for row in rows) == answer["gguf"]["bytes"]


def test_a_server_is_not_asked(run: Run, file: Path) -> None:
    assert run("--server", "http://127.0.0.1:9", "inspect", str(file)).exit_code == 0


def test_escape_sequences_of_a_file_do_not_reach_the_terminal(run: Run, tmp_path: Path) -> None:
    metadata, tensors = llama()
    odd = {"a.title": "\x1b]0;owned\x07", "a.markup": "[bold]x[/bold]", "\x1b[2J": 1}
    path = tmp_path / "odd.gguf"
    path.write_bytes(gguf(metadata | odd, tensors | {"\x1b[31mred": ("F32", [1])}))
    done = run("inspect", str(path), "--tensors")
    assert "\x1b]" not in done.stdout and "\x1b[2J" not in done.stdout and "\x1b[31mred" not in done.stdout
    assert "[bold]x[/bold]" in done.stdout


@pytest.mark.parametrize("option", ["--limit", "--offset"])
def test_pages_have_the_bounds_of_the_interface(run: Run, file: Path, option: str) -> None:
    done = run("inspect", str(file), "--tensors", option, "-1")
    assert done.exit_code == 2 and option.strip("-") in done.stderr
    past = run("inspect", str(file), "--tensors", "--offset", "9999", "--format", "json")
    assert json.loads(past.stdout)["tensors"] == []


@pytest.mark.parametrize("content", [None, b"no", b"GGUF\0\0\0\x03" + b"\0" * 50])
def test_what_is_no_file_of_that_kind(run: Run, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.gguf"
    if content is not None:
        path.write_bytes(content)
    done = run("inspect", str(path))
    assert done.exit_code == 2
    assert "x.gguf" in done.stderr and "Traceback" not in done.stderr
