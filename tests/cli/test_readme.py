"""Every command line and every piece of Python of the READMEs, run as it stands there."""

import re
import shlex
from pathlib import Path

import pytest

from .conftest import Run

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.zh.md")


def blocks(name: str, language: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("name", READMES)
def test_every_command_works(run: Run, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    lines = "\n".join(blocks(name, "bash")).splitlines()
    commands = [shlex.split(line) for line in lines if line.startswith("llm-estimate")]
    assert len(commands) >= 10
    for command in commands:
        done = run(*command[1:])
        assert done.exit_code == 0, (command, done.stderr)
        assert done.stdout.strip()


@pytest.mark.parametrize("name", READMES)
def test_the_python_works(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    pieces = blocks(name, "python")
    assert pieces
    scope: dict[str, object] = {}
    for piece in pieces:
        exec(piece, scope)
    shown = capsys.readouterr().out
    assert "memory_bandwidth" in shown
    assert "165.2 1008" in shown
