"""The Dockerfile, read: pinned, small, without root; and the wheel builds from what it copies."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .files import ROOT, VARIABLES, extras, is_pinned, routes

Instruction = tuple[str, str]


def _instructions() -> list[Instruction]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in lines]


def _all(name: str) -> list[str]:
    return [rest for instruction, rest in _instructions() if instruction == name]


def _final_stage() -> list[Instruction]:
    found = _instructions()
    last = max(place for place, (name, _) in enumerate(found) if name == "FROM")
    return found[last:]


def _arguments() -> dict[str, str]:
    return dict(rest.split("=", 1) for rest in _all("ARG"))


def _environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for rest in _all("ENV") for pair in rest.split())


def _copied() -> list[str]:
    sources = [rest.split()[:-1] for rest in _all("COPY") if not rest.startswith("--from")]
    return [source for each in sources for source in each]


def test_two_stages_of_one_pinned_image() -> None:
    images = [rest.split()[0].replace("${PYTHON}", _arguments()["PYTHON"]) for rest in _all("FROM")]
    assert len(images) == 2
    assert len(set(images)) == 1
    assert all(is_pinned(image) for image in images)


def test_the_final_stage_installs_nothing_and_is_not_root() -> None:
    stage = _final_stage()
    commands = " ".join(rest for name, rest in stage if name == "RUN")
    assert not re.search(r"apt|pip install|gcc|build-essential", commands)
    assert [rest for name, rest in stage if name == "COPY"] == ["--from=build /service /service"]
    users = [rest for name, rest in stage if name == "USER"]
    assert users
    assert users[-1].split(":")[0].isdigit()
    assert int(users[-1].split(":")[0]) >= 10_000


def test_sources_are_there_and_reach_the_builder() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for source in _copied():
        assert (ROOT / source).exists(), source
    assert set(_copied()) == allowed


def test_it_sets_only_what_there_is() -> None:
    assert set(_arguments()["EXTRAS"].split(",")) <= extras()
    own = {name for name in _environment() if not name.startswith("PYTHON") and name != "PATH"}
    assert own <= VARIABLES
    assert _all("EXPOSE") == [_environment()["PORT"]]


def test_its_health_is_a_route(tmp_path: Path) -> None:
    [check] = _all("HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    compile(command[-1], "HEALTHCHECK", "exec")
    assert set(re.findall(r"/health\w*(?:/\w+)*", check)) <= routes(tmp_path)


@pytest.mark.slow
def test_the_wheel_builds_from_what_is_copied(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in _copied():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert list(tmp_path.glob("llm_estimate-*.whl"))
