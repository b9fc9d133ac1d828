"""What goes wrong is said on stderr, with an exit code that says which kind it is."""

import json
from pathlib import Path

import pytest

from app.cli.refusals import FAILED, NOT_FOUND, NOT_SUPPORTED_YET, UNREACHABLE, WRONG, exit_code

from .conftest import Run

DOWN = "http://127.0.0.1:9"

WRONGS = [
    ("memory inference -m qwen3-8", NOT_FOUND, "Qwen3-8B"),
    ("memory inference -m qwen3-8b -g rtx4091", NOT_FOUND, "rtx-4090"),
    ("memory inference", WRONG, "model_name"),
    ("memory inference -m qwen3-8b --batch-size many --tensor-parallel 0", WRONG, "batch_size"),
    ("estimate -m qwen3-8b", WRONG, "gpu"),
    ("estimate -m qwen3-8b -g rtx-4090 --request-rate 1 --concurrency 2", WRONG, "request_rate"),
    ("memory inference --batch-siz 2", WRONG, "--batch-size"),
    ("memry", WRONG, "memory"),
    ("inspect nothing/there.json", WRONG, "nothing/there.json"),
    ("inspect {", WRONG, "config"),
    ("memory compare -m qwen3-8b --vary batch_siz=1,2", WRONG, "batch_size"),
    ("memory compare -m qwen3-8b --vary batch_size", WRONG, "batch_size=A,B,C"),
    ("list-accelerators --type toaster", WRONG, "type"),
    (f"--server {DOWN} list-models", UNREACHABLE, DOWN),
]


@pytest.mark.parametrize(("arguments", "code", "named"), WRONGS)
def test_wrong_input_is_refused_on_stderr(run: Run, arguments: str, code: int, named: str) -> None:
    done = run(*arguments.split())
    assert done.exit_code == code
    assert named in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_every_problem_is_named(run: Run) -> None:
    done = run("memory", "inference", "-m", "qwen3-8b", "--batch-size", "x", "--tensor-parallel", "0")
    assert "batch_size must be" in done.stderr
    assert "tensor_parallel must lie" in done.stderr


def test_a_server_refuses_as_this_process_does(run: Run, server: str) -> None:
    arguments = ("memory", "inference", "-m", "qwen3-8", "--language", "zh", "--format", "json")
    here, there = run(*arguments), run("--server", server, *arguments)
    assert here.exit_code == there.exit_code == NOT_FOUND
    body = json.loads(there.stderr)
    assert json.loads(here.stderr) == {name: value for name, value in body.items() if name != "request_id"}


def test_a_server_that_speaks_something_else_is_no_server(run: Run, server: str) -> None:
    done = run("--server", f"{server}/docs/index.html#", "list-models")
    assert done.exit_code in (NOT_FOUND, UNREACHABLE)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"code": "not_supported_yet", "status": 400}, NOT_SUPPORTED_YET),
        ({"code": "unknown_architecture", "status": 422}, WRONG),
        ({"code": "not_found", "status": 404}, NOT_FOUND),
        ({"code": "hub_timeout", "status": 504}, UNREACHABLE),
        ({"code": "forbidden", "status": 403}, FAILED),
        ({}, FAILED),
    ],
)
def test_exit_codes(body: dict[str, object], code: int) -> None:
    assert exit_code(body) == code


def test_a_folder_without_a_configuration_is_a_models_name(run: Run, tmp_path: Path) -> None:
    assert run("inspect", str(tmp_path)).exit_code == NOT_FOUND
