"""Writing behind: nobody waits, nothing is lost that need not be, and what is lost is counted."""

import multiprocessing
import threading
from collections import Counter
from typing import Any

import pytest

from app.errors import StoreDown
from app.messages import Message
from app.store import behind
from app.store.behind import Behind
from app.store.records import EventKey, EventSum, NewEntry


class Place:
    """Where things are written; it can be down, and it can be held up."""

    def __init__(self) -> None:
        self.entries: list[NewEntry] = []
        self.sums: Counter[EventKey] = Counter()
        self.batches = self.turns = 0
        self.down = False
        self.dropped: Counter[str] = Counter()
        self.free = threading.Event()
        self.free.set()
        self.behind = Behind(self.history, self.events, self.turn, self.drop)

    def history(self, entries: list[NewEntry]) -> None:
        assert self.free.wait(60)
        self._check()
        self.entries += entries
        self.batches += 1

    def events(self, sums: list[tuple[EventKey, EventSum]]) -> None:
        self._check()
        self.sums.update({key: each.count for key, each in sums})

    def turn(self) -> None:
        self.turns += 1

    def drop(self, kind: str, count: int) -> None:
        self.dropped[kind] += count

    def _check(self) -> None:
        if self.down:
            raise StoreDown(Message("store_unreachable"))


@pytest.fixture
def place() -> Place:
    return Place()


def entry(number: int = 0) -> NewEntry:
    return NewEntry("me", "k", {}, {}, "", float(number))


KEY = EventKey(1, "open", "")


def test_what_is_put_is_written_together(place: Place) -> None:
    for number in range(20):
        place.behind.keep(entry(number))
        place.behind.count(KEY, EventSum.one(1.0))
    assert place.behind.settle(60)
    assert [each.created for each in place.entries] == [float(n) for n in range(20)]
    assert place.sums == {KEY: 20}
    assert place.batches < 20 and place.turns >= 1
    assert place.behind.settle(60), "nothing waits"


def test_nobody_waits_for_a_slow_store(place: Place) -> None:
    place.free.clear()
    for number in range(behind.MOST_ENTRIES * 3):
        place.behind.keep(entry(number))
    assert place.dropped["history"] >= behind.MOST_ENTRIES
    place.free.set()
    assert place.behind.settle(60)
    assert len(place.entries) + place.dropped["history"] == behind.MOST_ENTRIES * 3


def test_a_store_that_is_down_gets_it_later(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "_PATIENCE_S", 0.02)
    place.down = True
    place.behind.keep(entry(1))
    place.behind.count(KEY, EventSum.one(None))
    assert not place.behind.settle(60), "told at the first failure"
    place.behind.keep(entry(2))
    place.behind.count(KEY, EventSum.one(None))
    place.down = False
    assert _settled(place)
    assert [each.created for each in place.entries] == [1.0, 2.0]
    assert place.sums == {KEY: 2} and not +place.dropped


def _settled(place: Place) -> bool:
    """A failure that was under way may still be told once."""
    return place.behind.settle(60) or place.behind.settle(60)


def test_what_the_store_never_takes_is_dropped_and_counted(place: Place) -> None:
    def refuse(_: Any) -> None:
        raise ValueError("no such column")

    place.behind._write_history = refuse
    place.behind.keep(entry())
    place.behind.count(KEY, EventSum.one(None))
    assert place.behind.settle(60)
    assert place.dropped == {"history": 1, "events": 1}


def test_too_many_different_events(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "MOST_SUMS", 3)
    monkeypatch.setattr(behind, "_GATHER_S", 60)
    for number in range(5):
        place.behind.count(EventKey(1, str(number), ""), EventSum.one(None))
        place.behind.count(EventKey(1, "0", ""), EventSum.one(None))
    assert place.behind.settle(60)
    assert place.dropped["events"] == 2
    assert sum(place.sums.values()) == 8


def test_a_process_that_ends_writes_what_waits(place: Place) -> None:
    place.behind.keep(entry())
    place.behind.stop()
    assert len(place.entries) == 1


def test_a_process_that_ends_without_a_store_gives_up(place: Place) -> None:
    place.down = True
    place.behind.keep(entry())
    place.behind.stop()
    assert place.dropped["history"] == 1
    assert place.behind._thread is not None and not place.behind._thread.is_alive()


def test_a_forked_process_writes_its_own_only(place: Place) -> None:
    place.free.clear()
    place.behind.keep(entry(1))
    context = multiprocessing.get_context("fork")
    found = context.Queue()
    child = context.Process(target=_write_in_child, args=(place, found))
    child.start()
    assert found.get(timeout=60) == [2.0]
    child.join(60)
    place.free.set()
    assert place.behind.settle(60)
    assert [each.created for each in place.entries] == [1.0]


def _write_in_child(place: Place, found: Any) -> None:
    place.free.set()
    place.behind.keep(entry(2))
    place.behind.settle(60)
    found.put([each.created for each in place.entries])
    found.close()
    found.join_thread()
