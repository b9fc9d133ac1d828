"""What a process or a machine that computes is given: a sweep as text and the number of a part."""

import os
import signal
import threading
import time
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

import orjson

from ..service.lookup import Lookup
from ..settings import read_settings
from ..store import Store
from .grid import Grid, grid_of
from .part import evaluate, pack
from .sizes import bounds

NICENESS: Final = 10  # answers to requests go first
WATCH_S: Final = 1.0


def compute_part(document: bytes, index: int) -> bytes:
    """The packed part of a sweep."""
    grid = _grid(document)
    return pack(evaluate(grid, *bounds(grid, index), builtin()))


def settle() -> None:
    """Make a process of a pool ready: behind everybody else, with what it needs read."""
    os.nice(NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's, which the runner answers for all
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()
    builtin()


def _leave_with(parent: int) -> None:
    """End when the process that asked is gone: a pool's own would wait for good."""
    while os.getppid() == parent:
        time.sleep(WATCH_S)
    os._exit(1)


@cache
def builtin() -> Lookup:
    """Names without users' own: a sweep carries those itself."""
    return Lookup(read_settings({}), Store(None, Path(os.devnull) / "none"))


@lru_cache(maxsize=4)
def _grid(document: bytes) -> Grid:
    return grid_of(orjson.loads(document))
