"""Telling a hang from a busy machine: processor time of this process, not time on the clock."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Hang(BaseException):
    """Something took more processor time than it may; no `except Exception` takes it for its own."""


@contextmanager
def no_hang(seconds: float = 20.0) -> Iterator[None]:
    """Raise `Hang` in the block when it has taken so much processor time [seconds]."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise Hang(f"more than {seconds} s of processor time")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
