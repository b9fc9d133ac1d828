"""A question stops when it has cost too much time of the processor, which a busy machine does not change."""

import time
from collections.abc import Callable

from .. import budget
from ..errors import TooMuchWork
from ..messages import Message


def begin(seconds: float) -> None:
    """Let this thread's question take so much processor time [seconds]; 0 is no limit."""
    budget.watch(_limit(seconds) if seconds > 0 else None)


def end() -> None:
    """The thread goes on to something else."""
    budget.watch(None)


def _limit(seconds: float) -> Callable[[], None]:
    """A thread's processor time runs no faster than the clock, which is cheap to read and asked first."""
    last, earliest = time.thread_time() + seconds, time.perf_counter() + seconds

    def check() -> None:
        if time.perf_counter() > earliest and time.thread_time() > last:
            raise TooMuchWork(Message("too_much_work", {"seconds": f"{seconds:g}"}))

    return check
