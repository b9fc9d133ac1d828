"""Who computes the parts: processes of this machine, or a Dask cluster that is there already.

Either gives each asked part back exactly once, in any order, whatever dies on the way: a lost part is tried
again, and after `TRIES` losses the sweep fails. `None` comes in between as a moment to renew a lease.
"""

import multiprocessing
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Final, Protocol, Self

from .tasks import compute_part, settle

TRIES: Final = 3
TICK_S: Final = 1.0
AHEAD: Final = 2  # parts on their way for each process

Computed = tuple[int, bytes]


class PartFailed(Exception):
    """A part that could not be computed, with what went wrong last."""

    def __init__(self, index: int, reason: str) -> None:
        self.index, self.reason = index, reason
        super().__init__(f"part {index}: {reason}")


class Workers(Protocol):
    """Whoever computes."""

    def compute(self, document: bytes, indices: Iterable[int]) -> Iterator[Computed | None]:
        """Parts as they are done, None every moment; raises `PartFailed`. Closing the iterator gives up."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Pool:
    """A bounded pool of processes on this machine."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        self._drop()

    def compute(self, document: bytes, indices: Iterable[int]) -> Iterator[Computed | None]:
        """Parts as they are done; where a process died, a new pool tries again what the old one held."""
        waiting = iter(indices)
        running: dict[Future[bytes], int] = {}
        again: list[int] = []
        losses: Counter[int] = Counter()
        try:
            while True:
                wanted = self._processes * AHEAD - len(running)
                for index in islice(chain(again, waiting), max(0, wanted)):
                    running[self._submit(document, index)] = index
                again = again[max(0, wanted) :]
                if not running:
                    return
                done, _ = wait(running, TICK_S, FIRST_COMPLETED)
                yield None
                try:
                    if not done and self._lost_one():
                        raise BrokenProcessPool("a process died while it handed a part over")
                    for future in done:
                        payload = _payload(future, running[future])
                        yield running.pop(future), payload
                except BrokenProcessPool as error:
                    self._drop()
                    again += _lost(running.values(), losses, str(error))
                    running = {}
        finally:
            for future in running:
                future.cancel()

    def _submit(self, document: bytes, index: int) -> "Future[bytes]":
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._processes, context, settle)
        try:
            return self._pool.submit(compute_part, document, index)
        except BrokenProcessPool:
            broken: Future[bytes] = Future()
            broken.set_exception(BrokenProcessPool("a process died before it was asked"))
            return broken

    def _lost_one(self) -> bool:
        """Whether a process is dead that the pool may not have missed.

        One that is killed in the middle of a result leaves the pool's own thread waiting for the rest of it,
        and the other processes for their turn.
        """
        return any(each.exitcode is not None for each in _processes_of(self._pool))

    def _drop(self) -> None:
        pool, self._pool = self._pool, None
        if pool is None:
            return
        processes, results = _processes_of(pool), getattr(pool, "_result_queue", None)
        pool.shutdown(wait=False, cancel_futures=True)
        if any(each.exitcode is not None for each in processes):
            for each in processes:
                each.kill()
            if results is not None:
                results._writer.close()  # nobody can write any more: whoever still reads finds the end


def _processes_of(pool: ProcessPoolExecutor | None) -> list[BaseProcess]:
    return list((getattr(pool, "_processes", None) or {}).values())


def _payload(future: "Future[bytes]", index: int) -> bytes:
    try:
        return future.result()
    except BrokenProcessPool:
        raise
    except Exception as error:
        raise PartFailed(index, f"{type(error).__name__}: {error}") from error


def _lost(indices: Iterable[int], losses: Counter[int], reason: str) -> list[int]:
    """The parts to try again; raises `PartFailed` for one that was lost too often."""
    found = list(indices)
    losses.update(found)
    worst = max(found, key=lambda index: losses[index])
    if losses[worst] >= TRIES:
        raise PartFailed(worst, reason)
    return found
