"""A queued sweep is finished by whichever runner lives, each point once."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Self

import orjson
import pytest

from app.errors import StoreDown
from app.messages import Message
from app.service import Service
from app.settings import Settings, read_settings
from app.store.sweeps import Sweeps
from app.sweeps import runner, sizes
from app.sweeps.cluster import NoCluster
from app.sweeps.desk import Desk, NotDone, SweepsBusy
from app.sweeps.grid import Grid, document_of
from app.sweeps.runner import Runner
from app.sweeps.tasks import compute_part
from app.sweeps.workers import Computed, PartFailed

from .questions import grid


class Here:
    """Workers in this process; `before` is called with each part."""

    def __init__(self, before: Callable[[int], None] = lambda _index: None) -> None:
        self.before = before
        self.asked: Counter[int] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        pass

    def compute(self, document: bytes, indices: Iterable[int]) -> Iterator[Computed | None]:
        for index in indices:
            yield None
            self.before(index)
            self.asked[index] += 1
            yield index, compute_part(document, index)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "part_points", lambda _grid: 7)
    monkeypatch.setattr(runner, "POLL_S", 0.0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings({}, data_folder=tmp_path)


@pytest.fixture
def desk(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(runner, "start_runner", lambda _settings: None)
    return Desk(Service(settings), settings)


@pytest.fixture
def sweeps(desk: Desk) -> Sweeps:
    return desk._service.store.sweeps


def _queue(sweeps: Sweeps, asked: Grid) -> str:
    return sweeps.create("me", document_of(asked), asked.total).id


def _runner(sweeps: Sweeps, workers: Here, goes_on: Callable[[], bool] = lambda: True) -> Runner:
    return Runner(sweeps, lambda: workers, goes_on)


def _rows(desk: Desk, id_: str) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in b"".join(desk.result(id_, "ndjson").chunks).splitlines()]


def test_a_sweep_is_done_and_says_how_far_it_is(desk: Desk, sweeps: Sweeps) -> None:
    asked = grid()
    id_ = _queue(sweeps, asked)
    seen: list[int] = []
    _runner(sweeps, Here(lambda _index: seen.append(desk.state(id_)["done"]))).run(0.0)
    assert desk.state(id_) | {"created": 0, "finished": 0} == {
        "id": id_, "calculation": "memory_inference", "state": "done", "total": 48, "done": 48,
        "created": 0, "finished": 0, "error": None,
    }  # fmt: skip
    assert seen == [0, 7, 14, 21, 28, 35, 42]
    assert _rows(desk, id_) == desk.at_once(asked)["rows"]


def test_a_runner_that_is_told_to_stop_leaves_the_rest_to_another(desk: Desk, sweeps: Sweeps) -> None:
    id_ = _queue(sweeps, grid())
    first, second = Here(), Here()
    _runner(sweeps, first, lambda: sum(first.asked.values()) < 3).run(0.0)
    assert desk.state(id_)["state"] == "queued"
    _runner(sweeps, second).run(0.0)
    assert desk.state(id_)["done"] == 48
    assert first.asked + second.asked == Counter(range(7))


def test_a_runner_that_dies_is_followed_when_its_lease_is_out(
    desk: Desk, sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LEASE_S", 0.0)
    id_ = _queue(sweeps, grid())

    def die(index: int) -> None:
        if index == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _runner(sweeps, Here(die)).run(0.0)
    assert (desk.state(id_)["state"], desk.state(id_)["done"]) == ("running", 28)
    second = Here()
    _runner(sweeps, second).run(0.0)
    assert desk.state(id_)["state"] == "done"
    assert second.asked == Counter((4, 5, 6))
    assert len(_rows(desk, id_)) == 48


def test_two_runners_at_one_sweep_count_each_point_once(desk: Desk, sweeps: Sweeps) -> None:
    id_ = _queue(sweeps, grid())
    document = orjson.dumps(document_of(grid()))

    def be_overtaken(index: int) -> None:
        sweeps.add_part(id_, index, 7 if index < 6 else 6, compute_part(document, index))

    _runner(sweeps, Here(be_overtaken)).run(0.0)
    assert (desk.state(id_)["state"], desk.state(id_)["done"]) == ("done", 48)
    assert len(_rows(desk, id_)) == 48


def test_a_cancelled_sweep_is_forgotten_and_its_runner_goes_on(desk: Desk, sweeps: Sweeps) -> None:
    first, second = _queue(sweeps, grid()), _queue(sweeps, grid())
    workers = Here(lambda index: desk.forget(first) if index == 3 and sweeps.get(first) else None)
    _runner(sweeps, workers).run(0.0)
    assert sweeps.get(first) is None
    assert not sweeps.part_indices(first)
    assert workers.asked[0] == 2
    assert workers.asked[6] == 1  # of the second only
    assert desk.state(second)["state"] == "done"


def test_a_part_that_cannot_be_computed_fails_the_sweep(desk: Desk, sweeps: Sweeps) -> None:
    def fail(index: int) -> None:
        if index == 2:
            raise PartFailed(index, "out of memory")

    id_ = _queue(sweeps, grid())
    _runner(sweeps, Here(fail)).run(0.0)
    found = desk.state(id_)
    assert (found["state"], found["done"]) == ("failed", 14)
    assert found["error"] == "The points from 14 on could not be computed after 3 tries: out of memory."
    with pytest.raises(NotDone, match="failed"):
        desk.result(id_, "ndjson")


def test_a_cluster_that_is_not_there_fails_the_sweep(desk: Desk, sweeps: Sweeps) -> None:
    def unreachable() -> Here:
        raise NoCluster(Message("sweep_no_cluster", {"reason": "tcp://nowhere"}))

    id_ = _queue(sweeps, grid())
    Runner(sweeps, unreachable, lambda: True).run(0.0)
    assert desk.state(id_)["error"] == "The Dask cluster cannot be reached: tcp://nowhere."


def test_a_store_that_is_down_for_a_moment_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner.time, "sleep", lambda _seconds: None)
    answers = iter([StoreDown(Message("store_busy")), StoreDown(Message("store_busy")), 3])

    def ask() -> object:
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    assert runner.patiently(ask) == 3


def test_too_many_waiting_sweeps_are_refused(
    desk: Desk, sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.sweeps.desk.MOST_OF_ONE", 1)
    _queue(sweeps, grid())
    with pytest.raises(SweepsBusy):
        desk._queued(grid(), "me")
    assert desk._queued(grid(), "somebody else")["state"] == "queued"


def test_the_lock_lets_one_live(tmp_path: Path) -> None:
    file = tmp_path / "sweeps.lock"
    with runner.locked(file) as first, runner.locked(file) as second:
        assert (first, second) == (True, False)
    with runner.locked(file) as third:
        assert third
