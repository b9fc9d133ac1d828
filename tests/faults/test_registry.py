"""A file of the registry that was torn while somebody wrote it costs its own model, and nothing else."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from test_api import ask, running

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow
TORN = {"Qwen3-8B": 0.0, "Llama-3.1-8B": 0.5, "DeepSeek-V3": 0.99}  # model: share that was written


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Path]:
    """A checkout of its own, to be damaged."""
    for name in ("app", "configs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "server.py", tmp_path)
    return tmp_path


def test_torn_files_keep_only_their_own_models_out(copy: Path) -> None:
    for name, share in TORN.items():
        file = copy / "configs" / "models" / name / "config.json"
        content = file.read_bytes().rstrip()
        file.write_bytes(content[: int(share * len(content))])
    with running(folder=copy, LLM_ESTIMATE_ACCESS_LOG="false") as url:
        status, _, body = ask(url, "POST", "/api/memory/inference", {"model_name": "Qwen3-0.6B"})
        assert status == 200, body
        for name in TORN:
            status, _, body = ask(url, "POST", "/api/memory/inference", {"model_name": name})
            assert (status, json.loads(body)["code"]) == (404, "not_found"), body
        assert ask(url, "GET", "/health/ready")[0] == 200
        names = {each["name"] for each in json.loads(ask(url, "GET", "/api/models")[2])["models"]}
    whole = {each.name for each in (ROOT / "configs" / "models").iterdir() if each.is_dir()}
    assert set(TORN) & names == set()
    assert len(names) == len(whole) - len(TORN)
