"""The real thing: a runner beside the service with a pool of its own, killed on the way."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from app.service import Service
from app.settings import Settings, read_settings
from app.sweeps import runner, workers
from app.sweeps.desk import Desk
from app.sweeps.grid import document_of
from app.sweeps.sizes import parts
from app.sweeps.workers import PartFailed, Pool

from ..servers import wait_until
from .handing_over import MARK, die_halfway_once
from .questions import grid

pytestmark = pytest.mark.slow

LARGE = grid(
    {
        "gpu": ["l4", "h100"],
        "tensor_parallel": [1, 2],
        "batch_size": {"from": 1, "to": 300},
        "input_length": {"from": 1, "to": 300},
        "output_length": [1],
    },
    {"model_name": "qwen3-0.6b"},
    "performance_inference",
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings({}, data_folder=tmp_path, sweep_workers=2)


@pytest.fixture
def desk(settings: Settings) -> Iterator[Desk]:
    yield Desk(Service(settings), settings)
    for child in runner._children:
        child.terminate()
        child.wait(60)
    runner._children.clear()


def _processes_of(parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(each) for each in children.read_text().split()] if children.exists() else []


def _pool_of(parent: int) -> list[int]:
    """The processes that compute, without multiprocessing's own."""
    return [
        each for each in _processes_of(parent) if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes()
    ]


def _is_gone(process: int) -> bool:
    """Whether it runs no more, though nobody may have taken notice."""
    try:
        return ") Z " in Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_runner_that_is_killed_is_replaced_and_each_point_counts_once(
    desk: Desk, settings: Settings
) -> None:
    id_ = desk._queued(LARGE, "me")["id"]
    wait_until(lambda: 0 < desk.state(id_)["done"] < LARGE.total, "the first parts are done")
    (child,) = runner._children
    pool = _pool_of(child.pid)
    child.send_signal(signal.SIGKILL)
    child.wait(60)
    wait_until(lambda: all(map(_is_gone, pool)), "its pool has gone with it")
    assert desk.state(id_)["state"] == "running"  # and another is started by having looked
    wait_until(lambda: desk.state(id_)["state"] == "done", "another runner finishes")
    rows = [orjson.loads(line) for chunk in desk.result(id_, "ndjson").chunks for line in chunk.splitlines()]
    points = {(r["gpu"], r["tensor_parallel"], r["batch_size"], r["input_length"]) for r in rows}
    assert len(rows) == len(points) == desk.state(id_)["done"] == LARGE.total


def test_a_pool_that_loses_a_process_gives_every_part_once() -> None:
    document = orjson.dumps(document_of(LARGE))
    found, killed = [], False
    with Pool(2) as pool:
        for part in pool.compute(document, range(parts(LARGE))):
            if part is None:
                continue
            found.append(part[0])
            if not killed:
                killed = True
                os.kill(_pool_of(os.getpid())[0], signal.SIGKILL)
    assert sorted(found) == list(range(parts(LARGE)))


def test_a_process_that_dies_while_it_hands_over_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(MARK, str(tmp_path / "mark"))
    monkeypatch.setattr(workers, "compute_part", die_halfway_once)
    with Pool(2) as pool:
        found = [part[0] for part in pool.compute(orjson.dumps(document_of(LARGE)), range(4)) if part]
    assert sorted(found) == list(range(4)) and (tmp_path / "mark").exists()


def test_a_part_that_fails_is_told() -> None:
    with Pool(1) as pool, pytest.raises(PartFailed, match="JSONDecodeError"):
        list(pool.compute(b"no grid", [0]))


def test_a_runner_ends_when_there_is_nothing_to_do(desk: Desk, settings: Settings) -> None:
    runner.start_runner(settings)
    (child,) = runner._children
    runner.start_runner(settings)
    assert runner._children == [child]
    started = time.monotonic()
    assert child.wait(60) == 0
    assert time.monotonic() - started < 60
