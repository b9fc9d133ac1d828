"""A Dask cluster that somebody runs already: the service is its client, and opens none of its own."""

from collections import Counter
from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, Final, Self

from ..errors import DomainError
from ..messages import Message
from .tasks import compute_part
from .workers import AHEAD, TICK_S, TRIES, Computed, PartFailed

PATIENCE_S: Final = 20  # for the scheduler to answer
FEWEST: Final = 2  # workers that are counted on where none has come yet


class NoCluster(DomainError):
    """The cluster cannot be reached, or the library for it is not installed."""

    code = "sweep_no_cluster"


class Cluster:
    """Parts sent to the workers of a cluster; what a lost worker had, Dask gives to another."""

    def __init__(self, scheduler: str, tls: Path | None = None) -> None:
        """`tls`: a folder with `ca.pem`, `cert.pem` and `key.pem`."""
        self._scheduler = scheduler
        self._tls = tls
        self._dask: Any = None
        self._client: Any = None

    def __enter__(self) -> Self:
        try:
            self._dask = import_module("distributed")
        except ImportError as error:
            raise NoCluster(Message("sweep_no_dask")) from error
        try:
            self._client = self._dask.Client(
                self._scheduler,
                security=self._security(),
                timeout=PATIENCE_S,
                set_as_default=False,
            )
        except (OSError, RuntimeError, TypeError, ValueError) as error:  # TLS that does not fit, too
            raise _unreachable(error) from error
        return self

    def __exit__(self, *_about: object) -> None:
        self._client.close(timeout=PATIENCE_S)

    def compute(self, document: bytes, indices: Iterable[int]) -> Iterator[Computed | None]:
        """Parts as they are done; raises `NoCluster` where the scheduler is lost."""
        try:
            yield from self._compute(document, indices)
        except OSError as error:
            raise _unreachable(error) from error

    def _compute(self, document: bytes, indices: Iterable[int]) -> Iterator[Computed | None]:
        waiting = iter(indices)
        running: dict[Any, int] = {}
        losses: Counter[int] = Counter()
        try:
            while True:
                for index in islice(waiting, max(0, self._wanted() - len(running))):
                    running[self._submit(document, index)] = index
                if not running:
                    return
                done = self._some_done(running)
                yield None
                if self._client.status == "closed":
                    raise _unreachable(self._scheduler)
                for future in done:
                    index = running.pop(future)
                    if future.status == "finished":
                        yield index, future.result(timeout=PATIENCE_S)
                    else:
                        losses[index] += 1
                        _check(future, index, losses[index])
                        running[self._submit(document, index)] = index
        finally:
            self._client.cancel(list(running), force=True)

    def _wanted(self) -> int:
        """Parts that keep all threads of the cluster at work."""
        threads: int = sum(self._client.nthreads().values())
        return AHEAD * max(FEWEST, threads)

    def _submit(self, document: bytes, index: int) -> Any:
        return self._client.submit(compute_part, document, index, pure=False, retries=TRIES)

    def _some_done(self, running: Iterable[Any]) -> list[Any]:
        try:
            with self._client.as_current():  # which is not the process's default
                return list(self._dask.wait(list(running), TICK_S, "FIRST_COMPLETED").done)
        except TimeoutError:
            return []

    def _security(self) -> Any:
        if self._tls is None:
            return None
        return self._dask.Security(
            tls_ca_file=str(self._tls / "ca.pem"),
            tls_client_cert=str(self._tls / "cert.pem"),
            tls_client_key=str(self._tls / "key.pem"),
            require_encryption=True,
        )


def _unreachable(reason: object) -> NoCluster:
    return NoCluster(Message("sweep_no_cluster", {"reason": str(reason)[:200]}))


def _check(future: Any, index: int, losses: int) -> None:
    """Raise what a part failed with, unless it was lost and may be tried again."""
    if future.status == "error" and losses >= TRIES:
        raise PartFailed(index, str(future.exception())[:200])
