"""How much work one question may be: loops that a question can make long tell of each turn.

Whoever answers questions of strangers sets what happens then (`watch`), for the thread that answers; nobody
else pays more than a look. Nothing here knows a clock.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

_CHECK: Final[ContextVar[Callable[[], None] | None]] = ContextVar("budget", default=None)


def watch(check: Callable[[], None] | None) -> None:
    """Call `check` at each turn from now on in this thread; None ends that."""
    _CHECK.set(check)


def turn() -> None:
    """One turn of a loop; raises what the check raises."""
    if (check := _CHECK.get()) is not None:
        check()
