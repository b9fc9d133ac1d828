"""Whether the clock can be believed: nothing is thrown away because it says that years went by."""

import time
from collections.abc import Callable
from typing import Final

_MOST_S: Final = 3600.0  # that the clock may be set by while a process runs


def _passed() -> float:
    """Seconds that really went by, sleep of the machine included where the system counts it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Clock:
    """The time of day beside the time that went by since this was made."""

    def __init__(self, wall: Callable[[], float] = time.time, passed: Callable[[], float] = _passed) -> None:
        self._wall, self._passed = wall, passed
        self._ahead = wall() - passed()

    def has_jumped(self) -> bool:
        """Whether the clock was set by more than an hour, forward or back, while the process ran."""
        return abs(self._wall() - self._passed() - self._ahead) > _MOST_S
