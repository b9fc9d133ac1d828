"""Counts over several processes: they add up, whoever asks, and outlive the process that made them."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from app.api import counts
from app.api.counts import SharedCounts, SharedFlag


def in_a_child(work: Callable[[], None], kill: bool = False) -> int:
    """Run something in a process of its own, which ends by itself or is killed; its id."""
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os.kill(os.getpid(), signal.SIGKILL) if kill else os._exit(0)
    os.waitpid(child, 0)
    return child


def test_children_and_parent_add_up() -> None:
    shared = SharedCounts(regions=4)
    shared.add((("a", "x"), 1), (("b",), 0.5))
    for _ in range(2):
        in_a_child(lambda: shared.add((("a", "x"), 10), (("c",), 1)))
    assert shared.totals() == {("a", "x"): 21.0, ("b",): 0.5, ("c",): 2.0}


@pytest.mark.parametrize("kill", [False, True])
def test_a_successor_counts_on_in_the_same_region(kill: bool) -> None:
    shared = SharedCounts(regions=2)
    for _ in range(5):  # more than there are regions
        in_a_child(lambda: shared.add((("a",), 1), (("b",), 2)), kill)
    assert shared.totals() == {("a",): 5.0, ("b",): 10.0}
    assert shared.processes() == {}


def test_who_finds_no_region_is_not_counted_and_does_not_fail() -> None:
    shared = SharedCounts(regions=1)
    shared.add((("a",), 1))
    in_a_child(lambda: shared.add((("a",), 1)))
    assert shared.totals() == {("a",): 1.0}
    assert shared.processes() == {0: os.getpid()}


def test_processes_that_run_are_told_from_those_that_are_gone(tmp_path: Path) -> None:
    shared = SharedCounts(regions=3)
    ready, stop = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        shared.add((("a",), 1))
        os.write(ready[1], b".")
        os.read(stop[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    assert shared.processes() == {0: child}
    shared.add((("a",), 1))
    assert shared.processes() == {0: child, 1: os.getpid()}
    os.write(stop[1], b".")
    os.waitpid(child, 0)
    assert shared.processes() == {1: os.getpid()}


def test_more_keys_than_fit_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "MOST_KEYS", 3)
    shared = SharedCounts(regions=1)
    for number in range(5):
        shared.add(((str(number),), 1))
    shared.add((("0",), 1))
    assert shared.totals() == {("0",): 2.0, ("1",): 1.0, ("2",): 1.0}


def test_longer_keys_than_fit_are_dropped() -> None:
    shared = SharedCounts(regions=2)
    shared.add((("x" * counts.REGION,), 1), (("y",), 1))
    assert shared.totals() == {("y",): 1.0}


def test_keys_may_hold_anything() -> None:
    shared = SharedCounts(regions=1)
    odd = ('a\n"\\,{}', "模型", "")
    shared.add((odd, 1))
    assert shared.totals() == {odd: 1.0}


def test_a_flag_is_seen_by_all() -> None:
    flag = SharedFlag()
    assert not flag
    in_a_child(flag.set)
    assert flag
