"""Runners of two machines over one PostgreSQL: every sweep is done, each point once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from app.service import Service
from app.settings import Settings, read_settings
from app.sweeps import runner
from app.sweeps.desk import Desk
from app.sweeps.grid import document_of

from ..servers import wait_until
from .questions import grid

pytestmark = pytest.mark.servers

LARGE = grid(
    {"gpu": ["l4", "h100"], "batch_size": {"from": 1, "to": 150}, "sequence_length": {"from": 1, "to": 150}},
    {"model_name": "qwen3-0.6b"},
)


@contextmanager
def _machine(settings: Settings) -> Iterator[None]:
    """A machine with its own runner, which starts where the machine's folder has no lock yet."""
    runner._children.clear()
    runner.start_runner(settings)
    (child,) = runner._children
    try:
        yield
    finally:
        child.terminate()
        child.wait(60)
        runner._children.clear()


def test_two_machines_share_the_work(tmp_path: Path, database_url: str) -> None:
    machines = [
        read_settings({}, data_folder=tmp_path / name, database_url=database_url, sweep_workers=1)
        for name in ("a", "b")
    ]
    desk = Desk(Service(machines[0]), machines[0])
    sweeps = desk._service.store.sweeps
    ids = [sweeps.create("me", document_of(LARGE), LARGE.total).id for _ in range(4)]
    with _machine(machines[0]), _machine(machines[1]):
        wait_until(lambda: not sweeps.unfinished(), "all sweeps are done")
    jobs = [sweeps.get(id_) for id_ in ids]
    assert [(job.state, job.done) for job in jobs if job] == [("done", LARGE.total)] * 4
    for id_ in ids:
        lines = b"".join(desk.result(id_, "ndjson").chunks).splitlines()
        rows = [orjson.loads(line) for line in lines]
        points = {(row["gpu"], row["batch_size"], row["sequence_length"]) for row in rows}
        assert len(points) == len(rows) == LARGE.total
