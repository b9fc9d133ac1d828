"""A clock that jumps deletes nothing."""

from unittest.mock import Mock

import pytest

from app.store import Store
from app.store.clock import Clock

DAY = 86_400.0


class Times:
    def __init__(self) -> None:
        self.wall, self.passed = 1.8e9, 500.0

    def go_on(self, seconds: float) -> None:
        self.wall += seconds
        self.passed += seconds


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
def clock(times: Times) -> Clock:
    return Clock(lambda: times.wall, lambda: times.passed)


def test_time_that_goes_by_is_no_jump(clock: Clock, times: Times) -> None:
    times.go_on(400 * DAY)
    times.wall += 60  # set by a minute
    assert not clock.has_jumped()


@pytest.mark.parametrize("by", [-3650 * DAY, -7200.0, 7200.0, 3650 * DAY])
def test_a_jump_is_seen(clock: Clock, times: Times, by: float) -> None:
    times.wall += by
    assert clock.has_jumped()
    times.wall -= by
    assert not clock.has_jumped()


def test_the_clock_of_this_machine_has_not_jumped() -> None:
    assert not Clock().has_jumped()


@pytest.mark.parametrize("jumped", [False, True])
def test_after_a_jump_nothing_is_forgotten(
    store: Store, monkeypatch: pytest.MonkeyPatch, jumped: bool
) -> None:
    purged = Mock(return_value={})
    monkeypatch.setattr(store, "purge", purged)
    monkeypatch.setattr(store.clock, "has_jumped", lambda: jumped)
    store._housekeeping.take_turn()
    assert purged.called is not jumped
