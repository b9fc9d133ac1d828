"""Processor time: best of several rounds, so that a busy machine changes little."""

import gc
import time
from collections.abc import Callable


def best_of(call: Callable[[], object], calls: int, rounds: int = 7) -> float:
    """Processor time of one call [µs], the best of some rounds of `calls` each."""
    call()
    found = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            started = time.process_time()
            for _ in range(calls):
                call()
            found.append((time.process_time() - started) / calls)
    finally:
        gc.enable()
    return min(found) * 1e6
