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


def _limit(seconds: float, now: Callable[[], float] = time.thread_time) -> Callable[[], None]:
    last = now() + seconds

    def check() -> None:
        if now() > last:
            raise TooMuchWork(Message("too_much_work", {"seconds": f"{seconds:g}"}))

    return check
