"""The folder of wheels installs and serves where there is no network."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .files import DEPLOY, ROOT

pytestmark = pytest.mark.slow

# What runs without a network: loopback is brought up, all else is not there.
_WITHOUT_NETWORK = """
import fcntl, os, socket, struct, subprocess, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", 0x1))  # SIOCSIFFLAGS, IFF_UP
folder, root, target = sys.argv[1:]
sys.path.insert(0, root)
import test_api
try:
    socket.create_connection(("192.0.2.1", 443), timeout=5)
    sys.exit("there is a network")
except OSError:
    pass
subprocess.run([f"{folder}/install.sh", target], check=True)
python = f"{target}/bin/python"
subprocess.run([python, "-c", "import llm_estimate, psycopg, redis"], check=True, cwd=target)
with test_api.running([python, "-m", "llm_estimate", "serve"], folder=target) as url:
    sys.exit(test_api.walk(url))
"""


def _may_leave_the_network() -> bool:
    command = ["unshare", "--map-root-user", "--net", "true"]
    return bool(shutil.which("unshare")) and subprocess.run(command, check=False).returncode == 0


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder as it is carried over."""
    folder = tmp_path_factory.mktemp("airgap") / "carried"
    _run("/bin/sh", DEPLOY / "airgap.sh", folder)
    return folder


def _run(*command: str | Path) -> None:
    done = subprocess.run(
        command,
        env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable, "HOME": str(Path.home())},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_it_installs_and_serves_without_a_network(carried: Path, tmp_path: Path) -> None:
    if not _may_leave_the_network():
        pytest.skip("this account may not leave the network")
    program = [sys.executable, "-c", _WITHOUT_NETWORK, carried, ROOT, tmp_path / "installed"]
    _run("unshare", "--map-root-user", "--net", *program)


def test_a_damaged_wheel_is_not_installed(carried: Path, tmp_path: Path) -> None:
    """install.sh checks before it makes anything."""
    folder = tmp_path / "carried"
    shutil.copytree(carried, folder)
    wheel = next((folder / "wheels").glob("click-*.whl"))
    wheel.write_bytes(wheel.read_bytes()[:-1] + b"?")
    done = subprocess.run(
        [folder / "install.sh", tmp_path / "target"], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "click" in done.stdout + done.stderr
    assert not (tmp_path / "target").exists()
