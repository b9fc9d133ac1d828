"""A Dask cluster of plain processes, of which one is killed; and the same over TLS."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import orjson
import pytest

from app.service import Service
from app.settings import read_settings
from app.sweeps import runner
from app.sweeps.cluster import Cluster, NoCluster
from app.sweeps.desk import Desk
from app.sweeps.grid import document_of
from app.sweeps.sizes import parts

from ..servers import Server, free_port, program, wait_until
from .questions import grid

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(
        find_spec("distributed") is None and os.environ.get("LLM_ESTIMATE_REQUIRE_SERVERS") != "1",
        reason="needs the extra [sweeps]",
    ),
]

LARGE = grid(
    {
        "tensor_parallel": [1, 2],
        "batch_size": {"from": 1, "to": 400},
        "sequence_length": {"from": 1, "to": 300},
    },
    {"model_name": "qwen3-0.6b", "gpu": "h100"},
    "performance_inference",
)


class Dask(Server):
    """A scheduler, or a worker of one."""

    def __init__(self, folder: Path, arguments: Sequence[str], ready: str) -> None:
        super().__init__(folder, free_port())
        self.name = f"dask-{arguments[0]}"
        self._arguments = arguments
        self._ready = ready

    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "distributed.cli.dask_" + self._arguments[0], *self._arguments[1:]]

    def answers(self) -> bool:
        return self._ready in self.log


@contextmanager
def cluster(folder: Path, scheme: str = "tcp", tls: Sequence[str] = ()) -> Iterator[tuple[str, list[Dask]]]:
    """A scheduler and two workers of one thread: the address, and the workers."""
    port = free_port()
    address = f"{scheme}://127.0.0.1:{port}"
    own = ["--host", f"{scheme}://127.0.0.1", "--no-dashboard", *tls]
    scheduler = Dask(folder, ["scheduler", "--port", str(port), *own], "Scheduler at")
    workers = [
        Dask(
            folder,
            ["worker", address, "--nthreads", "1", "--no-nanny", "--local-directory", str(folder), *own],
            "Registered to",
        )
        for _ in range(2)
    ]
    with ExitStack() as held:
        for server in (scheduler, *workers):
            held.callback(server.kill)
            server.start()
        yield address, workers


def test_a_worker_that_is_lost_on_the_way_loses_no_point(tmp_path: Path) -> None:
    with cluster(tmp_path) as (address, workers):
        settings = read_settings({}, data_folder=tmp_path / "data", dask_scheduler=address)
        desk = Desk(Service(settings), settings)
        id_ = desk._queued(LARGE, "me")["id"]
        wait_until(lambda: 0 < desk.state(id_)["done"] < LARGE.total, "the first parts are done")
        workers[0].kill()
        wait_until(lambda: desk.state(id_)["state"] == "done", "the other worker finishes")
        rows = [
            orjson.loads(line) for chunk in desk.result(id_, "ndjson").chunks for line in chunk.splitlines()
        ]
        points = {(row["tensor_parallel"], row["batch_size"], row["sequence_length"]) for row in rows}
        assert len(rows) == len(points) == desk.state(id_)["done"] == LARGE.total
        for child in runner._children:
            child.send_signal(signal.SIGTERM)
            child.wait(60)


def test_over_tls_only_those_with_a_certificate_get_in(tmp_path: Path) -> None:
    _certificates(tmp_path)
    files = {"ca-file": "ca.pem", "cert": "cert.pem", "key": "key.pem"}
    tls = [part for name, file in files.items() for part in (f"--tls-{name}", str(tmp_path / file))]
    with cluster(tmp_path, "tls", tls) as (address, _workers):
        with Cluster(address, tmp_path) as workers:
            found = [part for part in workers.compute(orjson.dumps(document_of(LARGE)), range(3)) if part]
        assert sorted(index for index, _ in found) == [0, 1, 2]
        with pytest.raises(NoCluster), Cluster(address):
            pass


def test_a_scheduler_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.sweeps.cluster.PATIENCE_S", 1)
    with pytest.raises(NoCluster, match="cannot be reached"), Cluster(f"tcp://127.0.0.1:{free_port()}"):
        pass


def test_more_parts_than_threads() -> None:
    assert parts(LARGE) > 10


def _certificates(folder: Path) -> None:
    """A certificate that is its own authority."""
    command = [
        program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        "-subj", "/CN=dask", "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    (folder / "ca.pem").write_bytes((folder / "cert.pem").read_bytes())
