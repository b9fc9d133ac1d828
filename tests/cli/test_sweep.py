"""`sweep`: ranges, files, and a service that computes in the background."""

import csv
import json
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest

from app.cli import sweep as command
from app.cli.remote import Remote

from .conftest import Run

GRID = (
    "-m",
    "qwen3-0.6b",
    "-g",
    "l4",
    "--vary",
    "batch_size=1..8*2",
    "--vary",
    "sequence_length=100..300+100",
)


def test_a_sweep_shows_what_varies(run: Run) -> None:
    done = run("sweep", *GRID)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.count("fits") == 12


def test_json_is_the_answer_of_the_interface(run: Run) -> None:
    answer = json.loads(run("sweep", *GRID, "--format", "json").stdout)
    assert (answer["calculation"], answer["total"]) == ("memory_inference", 12)
    assert [row["batch_size"] for row in answer["rows"][::3]] == [1, 2, 4, 8]


def test_fields_of_objects_vary_as_objects(run: Run) -> None:
    done = run(
        "sweep", "-m", "qwen3-8b", "-g", "h100", "--set", "speculative.draft=qwen3-0.6b",
        "--vary", "speculative.num_tokens=1,3", "--format", "json",
    )  # fmt: skip
    asked = [json.loads(row["speculative"]) for row in json.loads(done.stdout)["rows"]]
    assert [each["num_tokens"] for each in asked] == [1, 3]


@pytest.mark.parametrize("suffix", ["ndjson", "parquet", "csv"])
def test_rows_go_into_a_file(run: Run, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"rows.{suffix}"
    done = run("sweep", *GRID, "--vary", "tensor_parallel=1,3", "--output", str(file))
    assert done.exit_code == 0, done.stderr
    assert "24 rows" in done.stderr
    assert len(_read(file)) == 24


def _read(file: Path) -> list[dict[str, Any]]:
    if file.suffix == ".parquet":
        return list(pq.read_table(file).to_pylist())
    if file.suffix == ".csv":
        return list(csv.DictReader(file.read_text().splitlines()))
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_names_of_other_files_are_refused(run: Run, tmp_path: Path) -> None:
    done = run("sweep", *GRID, "--output", str(tmp_path / "rows.xls"))
    assert done.exit_code != 0
    assert ".parquet" in done.stderr


def test_a_range_that_is_none(run: Run) -> None:
    done = run("sweep", "-m", "qwen3-0.6b", "--vary", "batch_size=8..1..2")
    assert done.exit_code != 0
    assert "range of integers" in done.stderr


class _Service(Remote):
    """A service whose sweep is queued, runs, and is done."""

    def __init__(self, ends: str = "done") -> None:
        super().__init__("http://nowhere")
        self._states = iter(("running", ends))

    def post(self, path: str, body: Any, query: Any = None) -> dict[str, Any]:
        return {
            "id": "abc",
            "calculation": body["calculation"],
            "state": "queued",
            "total": 2,
            "done": 0,
            "error": None,
        }

    def get(self, path: str, query: Any = None) -> dict[str, Any]:
        state = next(self._states)
        return {
            "id": "abc",
            "state": state,
            "total": 2,
            "done": 1,
            "error": "no room" if state == "failed" else None,
        }

    def stream(self, path: str, query: Any) -> Any:
        text = b"".join(orjson.dumps({"gpu": "=l4", "batch_size": n}) + b"\n" for n in (1, 2))
        return iter((text[:7], text[7:]))


def _ask(monkeypatch: pytest.MonkeyPatch, run: Run, source: Remote, *more: str) -> Any:
    monkeypatch.setattr(command, "LOOK_S", 0.0)
    monkeypatch.setattr("app.cli.session._source", lambda *_: source)
    return run("sweep", "-m", "qwen3-0.6b", "-g", "l4", "--vary", "batch_size=1..2", *more)


def test_a_service_is_waited_for(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    done = _ask(monkeypatch, run, _Service(), "--output", str(file))
    assert done.exit_code == 0, done.stderr
    assert [(row["gpu"], row["batch_size"]) for row in _read(file)] == [("'=l4", "1"), ("'=l4", "2")]
    answer = json.loads(_ask(monkeypatch, run, _Service(), "--format", "json").stdout)
    assert [row["batch_size"] for row in answer["rows"]] == [1, 2]


def test_a_service_that_fails(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    done = _ask(monkeypatch, run, _Service("failed"))
    assert done.exit_code != 0
    assert "no room" in done.stderr
