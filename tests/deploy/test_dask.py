"""Dask as the manifests start it, over TLS, computes a sweep of the service; a stranger is not heard."""

import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from test_api import ask
from tests.servers import PATIENCE, Replica, Server, folder_for, free_port, program, wait_until

from .files import DEPLOY, documents

pytestmark = pytest.mark.servers


class Dask(Server):
    """The scheduler or a worker: the manifest's command with the ports and folders of a test."""

    def __init__(self, folder: Path, name: str, scheduler: int, certificates: Path) -> None:
        super().__init__(folder, None if name == "dask-worker" else scheduler)
        self.name = name
        self.scheduler = scheduler
        self.certificates = certificates

    def command(self) -> Sequence[str]:
        """As in deploy/kubernetes/dask.yaml."""
        found = [
            each for each in documents(DEPLOY / "kubernetes" / "dask.yaml") if each["kind"] == "Deployment"
        ]
        [pod] = [each["spec"]["template"]["spec"] for each in found if each["metadata"]["name"] == self.name]
        options = [self._here(each) for each in pod["containers"][0]["command"][1:]]
        return [sys.executable, "-m", "dask", *options, "--host=127.0.0.1"]

    def _here(self, option: str) -> str:
        changes = {
            "dask-scheduler:8786": f"127.0.0.1:{self.scheduler}",
            "--port=8786": f"--port={self.scheduler}",
            "--worker-port=8788": f"--worker-port={self.port}",
            "--nanny-port=8789": f"--nanny-port={free_port()}",
            "--local-directory=/tmp": f"--local-directory={self.folder}",
            "/run/dask": str(self.certificates),
        }
        for old, new in changes.items():
            option = option.replace(old, new)
        return option

    def answers(self) -> bool:
        """It listens."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE):
            return True


@pytest.fixture(scope="module")
def certificates() -> Iterator[Path]:
    program("openssl")
    if os.environ.get("LLM_ESTIMATE_REQUIRE_SERVERS") != "1":
        pytest.importorskip("distributed")
    with folder_for("dask") as folder:
        subprocess.run(["/bin/sh", DEPLOY / "make-certificates.sh", folder / "tls"], check=True)
        yield folder / "tls"


@pytest.fixture(scope="module")
def scheduler(certificates: Path) -> Iterator[Dask]:
    port = free_port()
    with ExitStack() as running:
        folder = running.enter_context(folder_for("dask"))
        scheduler = running.enter_context(Dask(folder, "dask-scheduler", port, certificates))
        running.enter_context(Dask(folder, "dask-worker", port, certificates))
        yield scheduler


def test_a_sweep_is_computed_by_the_cluster(scheduler: Dask, certificates: Path) -> None:
    variables = {
        "DASK_SCHEDULER_ADDRESS": f"tls://{scheduler.address}",
        "LLM_ESTIMATE_DASK_TLS": str(certificates),
        "LLM_ESTIMATE_WORKERS": "1",
    }
    asked = {
        "calculation": "memory_inference",
        "fixed": {"model_name": "Qwen3-0.6B"},
        "vary": {"batch_size": list(range(1, 301)), "sequence_length": list(range(64, 64 * 201, 64))},
    }
    with folder_for("replica") as folder, Replica(folder, **variables) as replica:
        status, _, body = ask(replica.url, "POST", "/api/sweeps", asked)
        assert status == 202, body
        path = f"/api/sweeps/{json.loads(body)['id']}"

        def finished() -> bool:
            found = json.loads(ask(replica.url, "GET", path)[2])
            assert found["state"] in ("queued", "running", "done"), found
            return bool(found["state"] == "done")

        wait_until(finished, "the sweep is done")
        rows = ask(replica.url, "GET", f"{path}/result")[2].splitlines()
    assert len(rows) == 300 * 200


def _is_heard(scheduler: Dask, certificates: Path | None) -> bool:
    """Whether the scheduler says something to who comes so."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if certificates:
        context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    connection = socket.create_connection(("127.0.0.1", scheduler.port), timeout=PATIENCE)
    with suppress(ssl.SSLError, ConnectionError), connection, context.wrap_socket(connection) as secured:
        return bool(secured.recv(1))
    return False


def test_a_stranger_is_not_heard(scheduler: Dask, certificates: Path) -> None:
    """Only who has a certificate of the same authority is."""
    assert _is_heard(scheduler, certificates)
    assert not _is_heard(scheduler, None)
