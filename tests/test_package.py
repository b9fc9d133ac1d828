"""The wheel in an empty environment, outside the checkout: one package, its data, a walk over the API."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import test_api

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as pip builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT))
    return next(folder.glob("*.whl"))


def _run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_one_package_with_its_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"llm_estimate"}
    inside = set(names)
    assert {
        "llm_estimate/py.typed",
        "llm_estimate/messages/request.json",
        "llm_estimate/configs/gpus/aliases.json",
    } <= inside
    committed = len(list((ROOT / "configs" / "models").glob("*/config.json")))
    packed = [name for name in names if name.startswith("llm_estimate/configs/models/")]
    assert len([name for name in packed if name.endswith("/config.json")]) == committed
    sources = {path.relative_to(ROOT / "app").as_posix() for path in (ROOT / "app").rglob("*.py")}
    assert {f"llm_estimate/{source}" for source in sources} <= inside


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an empty environment with the wheel in it."""
    folder = tmp_path_factory.mktemp("venv")
    _run(sys.executable, "-m", "venv", str(folder))
    _run(str(folder / "bin" / "python"), "-m", "pip", "install", "-q", str(wheel))
    return folder / "bin"


def test_it_serves_from_an_empty_environment(installed: Path, tmp_path: Path) -> None:
    with test_api.running([str(installed / "python"), "-m", "llm_estimate", "serve"], folder=tmp_path) as url:
        assert test_api.walk(url) == 0


def test_the_command_line_and_python_from_an_empty_environment(installed: Path, tmp_path: Path) -> None:
    python = str(installed / "python")
    _run(str(installed / "llm-estimate"), "estimate", "-m", "qwen3-8b", "-g", "rtx-4090", cwd=tmp_path)
    _run(python, "-m", "llm_estimate.cli", "memory", "inference", "-m", "qwen3-8b", cwd=tmp_path)
    _run(
        python,
        "-c",
        "from llm_estimate import *; create_accelerator('l4'); memory_inference(7)",
        cwd=tmp_path,
    )
