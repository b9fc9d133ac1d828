"""Started as a user starts it: from a checkout, as a module, quickly."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("flask", "werkzeug", "sqlalchemy", "requests", "gunicorn", "prometheus_client")
PROBE = """
import sys
import llm_estimate
assert "llm_estimate.service" not in sys.modules, "importing the package imports everything"
from llm_estimate.cli.main import main
try:
    main(["estimate", "-m", "qwen3-8b", "-g", "rtx-4090"])
except SystemExit as end:
    assert not end.code
print("HEAVY", [name for name in {heavy!r} if name in sys.modules])
"""

SERVER = """
import sys
from app.api.application import create_app
client = create_app().test_client()
before = set(sys.modules)
model = {"model_name": "Qwen3-0.6B"}
for path, body in (
    ("memory/inference", {}),
    ("memory/training", {}),
    ("performance/inference", {"gpu": "l4"}),
    ("performance/training", {"gpu": "l4"}),
    ("recommend", {"task": "inference", "gpus": ["l4"]}),
    ("v1/training/estimate", {"gpus": ["l4"]}),
    ("validate/log", {"log": "Model loading took 15.27 GiB memory and 3 seconds"}),
):
    reply = client.post("/api/" + path, json={**model, **body})
    assert reply.status_code == 200, reply.get_data(as_text=True)
print("LATE", sorted(name for name in set(sys.modules) - before if name.startswith("app.")))
"""


def _run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("words", [["llm_estimate.py"], ["-m", "llm_estimate.cli"]], ids=" ".join)
def test_help_from_a_checkout(words: list[str]) -> None:
    shown = _run(*words, "--help")
    assert "estimate" in shown
    assert "list-accelerators" in shown


def test_an_answer_imports_no_web_framework_and_no_database() -> None:
    shown = _run("-c", PROBE.format(heavy=HEAVY))
    assert "ttft_ms" in shown
    assert shown.splitlines()[-1] == "HEAVY []"


@pytest.mark.slow
def test_a_server_imports_everything_before_it_answers() -> None:
    assert _run("-c", SERVER).splitlines()[-1] == "LATE []"
