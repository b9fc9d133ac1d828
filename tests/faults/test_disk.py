"""A disk that is full, under the store and the log: estimates go on, writes say 503, nothing is torn."""

import errno
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from test_api import ask
from tests.servers import Replica, folder_for, wait_until

from .clients import ESTIMATE, Clients, asking

pytestmark = pytest.mark.slow
LLAMA = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
SIZE = 8 * 2**20


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of some megabytes; skips where this account may not mount one."""
    with folder_for("disk") as folder:
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(folder)]
        try:
            mounted = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            pytest.skip(f"no mount: {error}")
        if mounted.returncode:
            pytest.skip(f"no small disk can be mounted: {mounted.stderr.strip()}")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """A file that takes all that is left."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError as error:
                assert error.errno == errno.ENOSPC
    return filler


def register(url: str, name: str) -> tuple[int, str]:
    """Status and code of registering a model."""
    status, _, content = ask(url, "POST", "/api/models", {"name": name, "config": LLAMA})
    return status, json.loads(content).get("code", "")


def test_a_full_disk_stops_no_estimate(small_disk: Path) -> None:
    with Replica(small_disk, LLM_ESTIMATE_HISTORY="true") as replica:
        assert register(replica.url, "before") == (201, "")
        assert ask(replica.url, "GET", "/health/ready")[0] == 200
        filler = fill(small_disk)
        clients = Clients(replica.port, ESTIMATE)
        with asking(clients, each=3):
            clients.more(100)
            refused = register(replica.url, "meanwhile" + "x" * 100)
            clients.more(100)
        assert clients.failed == []
        assert refused == (503, "store_unavailable")
        assert ask(replica.url, "GET", "/health/ready")[0] == 200
        assert ask(replica.url, "GET", "/metrics")[0] == 200
        assert ask(replica.url, "GET", "/api/models/before")[0] == 200
        filler.unlink()
        wait_until(lambda: register(replica.url, "after")[0] in (201, 409), "it is written to again")
        assert ask(replica.url, "GET", "/api/models/after")[0] == 200
