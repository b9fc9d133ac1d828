"""start.sh, stop.sh and dev.sh, run as people run them."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL, SIGTERM

import pytest

from tests.servers import PATIENCE, free_port, wait_until

from .files import ROOT

pytestmark = pytest.mark.slow


class Place:
    """A data folder and a port of one's own."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.pid_file = folder / "llm-estimate.pid"
        self.environment = {
            **os.environ,
            "PYTHON": sys.executable,
            "PORT": str(self.port),
            "LLM_ESTIMATE_DATA": str(folder),
            "LLM_ESTIMATE_WORKERS": "1",
        }

    def run(self, script: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """What a script says, and its exit code."""
        return subprocess.run(
            [str(ROOT / script), *options],
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
            check=False,
        )

    def answers(self) -> bool:
        """Whether something answers on the port."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=PATIENCE) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path / "data")
    yield place
    with suppress(OSError, ValueError):
        os.killpg(os.getpgid(int(place.pid_file.read_text())), SIGKILL)


def test_start_returns_when_it_answers_and_stop_when_it_has_ended(place: Place) -> None:
    started = place.run("start.sh")
    assert started.returncode == 0, started.stderr
    assert f"http://127.0.0.1:{place.port}/" in started.stdout
    assert place.answers()
    again = place.run("start.sh")
    assert (again.returncode, place.answers()) == (1, True)
    assert "It runs already" in again.stderr
    stopped = place.run("stop.sh")
    assert stopped.returncode == 0, stopped.stderr
    assert not place.answers()
    assert not place.pid_file.exists()
    assert "It does not run." in place.run("stop.sh").stdout


def test_the_pid_of_somebody_else_is_not_ours(place: Place) -> None:
    place.pid_file.parent.mkdir()
    place.pid_file.write_text(str(os.getpid()))
    assert "It does not run." in place.run("stop.sh").stdout


def test_wrong_settings_are_said_before_anything_starts(place: Place) -> None:
    for script in ("start.sh", "dev.sh"):
        refused = place.run(script, PORT="many")
        assert refused.returncode == 1
        assert "PORT='many'" in refused.stderr
        assert "Traceback" not in refused.stderr


def test_a_port_that_is_taken_is_said(place: Place) -> None:
    assert place.run("start.sh").returncode == 0
    other = place.run("start.sh", LLM_ESTIMATE_DATA=str(place.pid_file.parent / "other"))
    try:
        assert (other.returncode, place.answers()) == (1, True)
        assert f"Port {place.port} of 127.0.0.1" in other.stderr
    finally:
        place.run("stop.sh")


def test_dev_serves_again_after_a_change(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w") as log:
        server = subprocess.Popen(
            [str(ROOT / "dev.sh")],
            env={**place.environment, "HOST": "0.0.0.0"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until(place.answers, "dev.sh answers")
        (ROOT / "server.py").touch()
        wait_until(lambda: "Detected change in" in path.read_text(), "it sees the change")
        wait_until(place.answers, "it answers again")
        assert f"http://127.0.0.1:{place.port}" in path.read_text()
    finally:
        os.killpg(server.pid, SIGTERM)  # as Ctrl-C reaches the whole group
        server.wait(PATIENCE)
    wait_until(lambda: not place.answers(), "it has ended")
