"""A bound on what models of requests may hold in memory.

Many functions remember what they found for an architecture, and so keep the architecture. Each of these
caches is bounded by its number of entries, but a request may bring an architecture of any size, so what they
hold in all is bounded here: by the operations of the architectures read since all was last forgotten.
"""

import sys
from functools import lru_cache
from threading import Lock
from typing import Final

from ..architecture import Architecture

MOST_OPERATIONS: Final = 8_000  # about 1 kB each, whatever the caches keep of them
_PROJECT: Final = __name__.split(".")[0]
_Cached: Final = type(lru_cache(lambda: None))


class Ledger:
    """The operations of the architectures that requests have brought."""

    def __init__(self, most: int = MOST_OPERATIONS) -> None:
        self.most = most
        self._held = 0
        self._lock = Lock()

    def enter(self, architecture: Architecture) -> None:
        """An architecture was read that caches are going to hold."""
        operations = sum(1 for _ in architecture.operations())
        with self._lock:
            self._held += operations

    def settle(self) -> None:
        """Forget everything once more is held than may be."""
        with self._lock:
            if self._held <= self.most:
                return
            self._held = 0
        forget()


def forget() -> None:
    """Empty every bounded cache of the project's modules; what is asked again is worked out again."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == _PROJECT:
            for value in list(vars(module).values()):
                if isinstance(value, _Cached) and value.cache_parameters()["maxsize"] is not None:
                    value.cache_clear()
