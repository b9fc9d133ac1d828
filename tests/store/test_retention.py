"""What is past its time is forgotten, by one process an hour."""

import time
from pathlib import Path

import pytest

from app.store import Store
from app.store import store as module
from app.store.changes import claim_turn
from app.store.housekeeping import Housekeeping
from app.store.records import HOUR, EventKey, EventSum, NewEntry
from app.store.retention import DAY, Retention, purge

NOW = 1_800_000_000.0


def fill(store: Store) -> None:
    for days in (1, 100, 1000):
        then = NOW - days * DAY
        store.history.add([NewEntry("me", "k", {}, {}, "", then)], most=100)
        store.events.add([(EventKey(int(then // HOUR), "open", ""), EventSum.one(None))])


def test_days_of_each(store: Store) -> None:
    fill(store)
    share = store.shares.add("?", NOW + DAY - time.time())
    assert purge(store, Retention(history_days=90, event_days=400), NOW) == {
        "history": 2, "shares": 0, "events": 1, "sweeps": 0,
    }  # fmt: skip
    assert purge(store, Retention(), NOW + 2 * DAY)["shares"] == 1
    assert store.shares.get(share.id) is None


def test_no_days_are_for_good(store: Store) -> None:
    fill(store)
    forgotten = purge(store, Retention(history_days=0, event_days=0, sweep_days=0), NOW)
    assert set(forgotten.values()) == {0}


def test_one_process_an_hour(store: Store) -> None:
    def turn(now: int) -> bool:
        with store.database.write() as connection:
            return claim_turn(connection, "purged", now, 3600)

    assert [turn(now) for now in (10_000, 10_000, 13_599, 13_600, 13_601)] == [
        True,
        False,
        False,
        True,
        False,
    ]
    assert turn(5000), "a clock that was set back stops nothing"


def test_whoever_writes_forgets(url: str | None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(url, folder, Retention(history_days=1))
    store.history.add([NewEntry("me", "k", {}, {}, "", 1.0)], most=9)
    store.behind.count(EventKey(int(time.time() // HOUR), "open", ""), EventSum.one(None))
    assert store.behind.settle(60)
    store.behind.stop()
    assert store.history.page("me")[1] == 0
    monkeypatch.setattr(module, "purge", lambda *_: pytest.fail("twice within an hour"))
    Housekeeping(store.database, store.clock, store.purge).take_turn()
    store.database.close()
