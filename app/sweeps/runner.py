"""The one process of a machine that works off queued sweeps, beside the service and apart from its workers.

`start_runner` starts it wherever somebody asks for a sweep or looks after one that is not done; a lock held
by the operating system lets one live. It ends when nothing is queued, or when whoever started it is gone. A
sweep whose runner died is claimed anew when its lease runs out, and goes on with the parts that are missing.
"""

import fcntl
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson

from ..errors import StoreDown
from ..messages import Message
from ..settings import SETTINGS, Settings, read_settings
from ..store import Store
from .cluster import Cluster, NoCluster
from .grid import grid_of
from .sizes import bounds, parts
from .workers import TRIES, PartFailed, Pool, Workers

if TYPE_CHECKING:
    from ..store.sweeps import SweepJob, Sweeps

T = TypeVar("T")

LOG: Final = logging.getLogger("llm_estimate.sweeps")
LEASE_S: Final = 15.0
RENEW_S: Final = 5.0
IDLE_S: Final = 5.0  # without a queued sweep before the process ends
POLL_S: Final = 0.5
STORE_PATIENCE_S: Final = 120.0
STARTERS: Final = "LLM_ESTIMATE_SWEEP_STARTERS"  # processes one of which must be alive
_children: list["subprocess.Popen[bytes]"] = []


def start_runner(settings: Settings) -> None:
    """Start the runner of this machine where none lives."""
    _children[:] = [child for child in _children if child.poll() is None]
    if _children or not _is_free(lock_file(settings)):
        return
    package = __name__.split(".")[0]
    home = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
    starters = f"{os.getpid()},{os.getppid()}"
    environment = {**os.environ, **_written(settings), "PYTHONPATH": path, STARTERS: starters}
    command = [sys.executable, "-m", f"{package}.sweeps.runner"]
    _children.append(subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL))  # noqa: S603


def _written(settings: Settings) -> dict[str, str]:
    """The settings that a runner needs, as the environment has them."""
    names = (
        "data_folder",
        "database_url",
        "sweep_workers",
        "dask_scheduler",
        "dask_tls",
    )
    variables = {setting.name: setting.variable for setting in SETTINGS}
    found = {name: getattr(settings, name) for name in names}
    found["data_folder"] = Path(settings.data_folder).absolute()
    return {variables[name]: "" if value is None else str(value) for name, value in found.items()}


def lock_file(settings: Settings) -> Path:
    """Where the lock is: in the data folder, or where that cannot be written in the temporary one."""
    folder = Path(settings.data_folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir())
    return (folder if os.access(folder, os.W_OK) else Path(tempfile.gettempdir())) / "sweeps.lock"


@contextmanager
def locked(file: Path) -> Iterator[bool]:
    """Whether the lock was free, and is ours while inside; the system frees it when a process dies."""
    with file.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def _is_free(file: Path) -> bool:
    with locked(file) as free:
        return free


class Runner:
    """Claims sweeps one after another and has their parts computed."""

    def __init__(self, sweeps: "Sweeps", workers: Callable[[], Workers], goes_on: Callable[[], bool]) -> None:
        self._sweeps = sweeps
        self._workers = workers
        self._goes_on = goes_on
        self._name = f"{os.uname().nodename[:60]}:{os.getpid()}:{time.time_ns()}"

    def run(self, idle_s: float = IDLE_S) -> None:
        """Work until nothing was left to do for `idle_s` seconds; what others work at may come back."""
        until = time.monotonic() + idle_s
        with ExitStack() as held:
            workers: Workers | None = None
            while self._goes_on():
                job = patiently(lambda: self._sweeps.claim(self._name, LEASE_S))
                if job is not None:
                    workers = self._serve(job, workers, held)
                elif time.monotonic() >= until and not patiently(self._sweeps.unfinished):
                    return
                else:
                    time.sleep(POLL_S)
                    continue
                until = time.monotonic() + idle_s

    def _serve(self, job: "SweepJob", workers: Workers | None, held: ExitStack) -> Workers | None:
        """Work at a sweep with these workers [new ones]; those to go on with, None where they were lost."""
        try:
            workers = workers or held.enter_context(self._workers())
            self._work(job, workers)
        except NoCluster as error:
            self._end(job, error.text())
            return None
        return workers

    def _work(self, job: "SweepJob", workers: Workers) -> None:
        grid = grid_of(job.request)
        there = patiently(lambda: self._sweeps.part_indices(job.id))
        missing = (index for index in range(parts(grid)) if index not in there)
        found = workers.compute(orjson.dumps(job.request), missing)
        try:
            if self._keep(job, found, lambda index: bounds(grid, index)):
                self._end(job)
        except PartFailed as error:
            start, _ = bounds(grid, error.index)
            values = {"start": start, "tries": TRIES, "reason": error.reason[:200]}
            self._end(job, Message("sweep_part_failed", values).text())
        finally:
            found.close()  # type: ignore[attr-defined]

    def _keep(self, job: "SweepJob", found: Iterable[Any], points: Callable[[int], tuple[int, int]]) -> bool:
        """Keep parts as they come; False where the sweep is not ours to finish."""
        renewed = time.monotonic()
        for part in found:
            if part is not None:
                index, payload = part
                start, stop = points(index)
                if not patiently(lambda: self._sweeps.add_part(job.id, index, stop - start, payload)):  # noqa: B023
                    renewed = 0.0  # there already, or the sweep was cancelled
            if not self._goes_on():
                patiently(lambda: self._sweeps.release(job.id, self._name))
                return False
            if time.monotonic() - renewed > RENEW_S:
                renewed = time.monotonic()
                if not patiently(lambda: self._sweeps.renew(job.id, self._name, LEASE_S)):
                    return False
        return True

    def _end(self, job: "SweepJob", error: str | None = None) -> None:
        if error is not None:
            LOG.warning("sweep %s failed: %s", job.id[:8], error)
        patiently(lambda: self._sweeps.finish(job.id, self._name, error))


def patiently(ask: Callable[[], T]) -> T:
    """What the store answers, waiting where it is down for a while; raises `StoreDown` when it stays so."""
    until = time.monotonic() + STORE_PATIENCE_S
    while True:
        try:
            return ask()
        except StoreDown:
            if time.monotonic() > until:
                raise
            time.sleep(1.0)


def workers_of(settings: Settings) -> Workers:
    """The cluster that the settings name, else processes of this machine."""
    if settings.dask_scheduler:
        return Cluster(settings.dask_scheduler, settings.dask_tls)
    return Pool(settings.sweep_workers or max(1, (os.cpu_count() or 2) - 1))


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def main(environment: Mapping[str, str]) -> None:
    """Run until the queue is empty, a signal comes, or the service is gone."""
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    settings = read_settings(environment)
    starters = [int(each) for each in environment.get(STARTERS, "").split(",") if each]
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda caught, _frame: told.append(caught))

    def goes_on() -> bool:
        return not told and (not starters or any(map(_alive, starters)))

    with locked(lock_file(settings)) as free:
        if free:
            sweeps = Store.from_settings(settings).sweeps
            Runner(sweeps, lambda: workers_of(settings), goes_on).run()


if __name__ == "__main__":
    main(os.environ)
