"""Sweeps: one runner at a time, each part once, nothing lost when a runner dies."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update

from app.store import Store
from app.store.sweeps import SweepJob
from app.store.tables import SweepJobRow


@pytest.fixture
def job(store: Store) -> SweepJob:
    return store.sweeps.create("me", {"vary": {"batch_size": [1, 2]}}, 30)


def _forget_the_lease(store: Store, job: SweepJob) -> None:
    with store.database.write() as connection:
        past = update(SweepJobRow).where(SweepJobRow.id == job.id).values(lease_until=time.time() - 1)
        connection.execute(past)


def test_from_start_to_end(store: Store, job: SweepJob) -> None:
    assert len(job.id) == 22  # 128 bits
    assert store.sweeps.get(job.id) == job and job.state == "queued"
    claimed = store.sweeps.claim("runner", 60)
    assert claimed is not None and claimed.id == job.id and claimed.state == "running"
    assert store.sweeps.claim("other", 60) is None
    for index in (2, 0, 1):
        assert store.sweeps.add_part(job.id, index, 10, bytes([index]) * 5)
    assert store.sweeps.part_indices(job.id) == {0, 1, 2}
    assert [(part.index, part.payload) for part in store.sweeps.parts(job.id)] == [
        (0, b"\0" * 5),
        (1, b"\1" * 5),
        (2, b"\2" * 5),
    ]
    assert [part.index for part in store.sweeps.parts(job.id, first=1)] == [1, 2]
    assert not store.sweeps.finish(job.id, "other")
    assert store.sweeps.finish(job.id, "runner")
    done = store.sweeps.get(job.id)
    assert done is not None and (done.state, done.done, done.error) == ("done", 30, None)
    assert done.finished is not None and not store.sweeps.cancel(job.id)
    assert store.sweeps.delete(job.id) and not store.sweeps.delete(job.id)
    assert list(store.sweeps.parts(job.id)) == []


def test_a_part_is_kept_once(store: Store, job: SweepJob) -> None:
    store.sweeps.claim("runner", 60)
    assert store.sweeps.add_part(job.id, 0, 10, b"first")
    assert not store.sweeps.add_part(job.id, 0, 10, b"second")
    found = store.sweeps.get(job.id)
    assert found is not None and found.done == 10
    assert [part.payload for part in store.sweeps.parts(job.id)] == [b"first"]


def test_parts_from_many_threads_are_counted_once(store: Store, job: SweepJob) -> None:
    store.sweeps.claim("runner", 60)
    with ThreadPoolExecutor(4) as pool:
        kept = list(pool.map(lambda n: store.sweeps.add_part(job.id, n % 10, 3, b"x"), range(40)))
    found = store.sweeps.get(job.id)
    assert kept.count(True) == 10
    assert found is not None and found.done == 30


def test_a_dead_runners_sweep_goes_on(store: Store, job: SweepJob) -> None:
    store.sweeps.claim("dead", 60)
    store.sweeps.add_part(job.id, 0, 10, b"kept")
    assert store.sweeps.renew(job.id, "dead", 60)
    _forget_the_lease(store, job)
    claimed = store.sweeps.claim("heir", 60)
    assert claimed is not None and claimed.runner == "heir"
    assert store.sweeps.part_indices(job.id) == {0}
    assert not store.sweeps.renew(job.id, "dead", 60)
    assert not store.sweeps.finish(job.id, "dead")
    assert store.sweeps.finish(job.id, "heir", "gave up")
    ended = store.sweeps.get(job.id)
    assert ended is not None and (ended.state, ended.error) == ("failed", "gave up")


def test_many_runners_claim_each_sweep_once(store: Store) -> None:
    made = [store.sweeps.create("me", {"n": n}, 1) for n in range(6)]
    with ThreadPoolExecutor(4) as pool:
        claimed = [each for each in pool.map(lambda n: store.sweeps.claim(f"r{n}", 60), range(12)) if each]
    assert sorted(each.id for each in claimed) == sorted(each.id for each in made)
    assert len({each.runner for each in claimed}) == 6


def test_oldest_first_and_released_ones_again(store: Store) -> None:
    first, second = (store.sweeps.create("me", {}, 1) for _ in range(2))
    claimed = store.sweeps.claim("a", 60)
    assert claimed is not None and claimed.id == first.id
    assert store.sweeps.release(first.id, "a") and not store.sweeps.release(first.id, "a")
    again = store.sweeps.claim("b", 60)
    assert again is not None and again.id == first.id
    assert store.sweeps.unfinished() == store.sweeps.unfinished("me") == 2
    assert store.sweeps.unfinished("you") == 0
    assert {each.id for each in store.sweeps.list("me")} == {first.id, second.id}
    assert store.sweeps.list("me", limit=1, offset=1)[0].id in {first.id, second.id}


def test_a_cancelled_sweep_takes_no_more(store: Store, job: SweepJob) -> None:
    store.sweeps.claim("runner", 60)
    assert store.sweeps.cancel(job.id) and not store.sweeps.cancel(job.id)
    assert not store.sweeps.renew(job.id, "runner", 60)
    assert not store.sweeps.add_part(job.id, 0, 10, b"late")
    assert not store.sweeps.finish(job.id, "runner")
    assert store.sweeps.claim("runner", 60) is None


def test_old_sweeps_are_forgotten_with_their_parts(store: Store, job: SweepJob) -> None:
    store.sweeps.claim("runner", 60)
    store.sweeps.add_part(job.id, 0, 10, b"x")
    assert store.sweeps.expire(time.time() + 10) == 0  # not finished
    store.sweeps.finish(job.id, "runner")
    assert store.sweeps.expire(time.time() - 10) == 0
    assert store.sweeps.expire(time.time() + 10) == 1
    assert store.sweeps.get(job.id) is None and store.sweeps.part_indices(job.id) == set()
