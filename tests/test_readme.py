"""Every curl of the READMEs, run against the application as it stands there."""

import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.api.application import create_app
from app.settings import read_settings

ROOT = Path(__file__).parents[1]
HOST = "http://127.0.0.1:5000"


def commands(name: str) -> list[list[str]]:
    """The curl commands of a README, as the shell would split them."""
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.startswith("curl")]


def request_of(command: list[str]) -> tuple[str, str, dict[str, str], str | None]:
    """Method, path, headers and body that a curl command sends."""
    headers: dict[str, str] = {}
    method, body, path = "GET", None, ""
    words = iter(command[1:])
    for word in words:
        if word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word == "-d":
            body, method = next(words), "POST" if method == "GET" else method
        elif word == "-X":
            method = next(words)
        elif word != "-s":
            parts = urlsplit(word)
            assert word.startswith(HOST)
            path = f"{parts.path}?{parts.query}"
    return method, path, headers, body


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_every_example_works(name: str, tmp_path: Path) -> None:
    client = create_app(read_settings({}, data_folder=tmp_path, access_log=False)).test_client()
    found = commands(name)
    assert len(found) >= 12
    for command in found:
        method, path, headers, body = request_of(command)
        reply = client.open(path, method=method, headers=headers, data=body)
        assert reply.status_code in (200, 201, 204), (command, reply.get_data(as_text=True)[:300])


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_the_two_commands_are_shown(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "make serve" in text
    assert "make test" in text
