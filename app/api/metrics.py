"""What the service counts of itself, and the text that Prometheus reads.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/ (text, version 0.0.4). Every label has a
bounded set of values: endpoints are routes, never paths; models are those of the registry or `custom`.
"""

import os
import platform
import re
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final

from ..service.watch import Watch
from ..version import VERSION
from .counts import Key, SharedCounts

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # [s]
_BOUNDS: Final = (*(f"{bound:g}" for bound in BUCKETS), "+Inf")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NO_ROUTE: Final = "none"  # the endpoint of paths that are not there
_PARAMETER: Final = re.compile(r"<(?:[^<>]*:)?(\w+)>")
_ROUTES: Final[dict[str | None, str]] = {}  # routes as they are shown

CacheUse = Callable[[], tuple[int, int]]  # hits and misses of a cache in this process, so far


@dataclass(frozen=True, slots=True)
class Family:
    """A metric: its name, kind, the names of its labels, and what it is."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


REQUESTS: Final = Family(
    "llm_estimate_requests_total", "counter", ("endpoint", "method", "status"), "Requests answered."
)
SECONDS: Final = Family(
    "llm_estimate_request_seconds", "histogram", ("endpoint",), "Time to a request's answer [s]."
)
ERRORS: Final = Family(
    "llm_estimate_errors_total", "counter", ("endpoint", "code"), "Answers that were errors, by their code."
)
RATE_LIMITED: Final = Family(
    "llm_estimate_rate_limited_total", "counter", ("endpoint",), "Requests refused because too many came."
)
ESTIMATES: Final = Family(
    "llm_estimate_estimates_total", "counter", ("kind", "model"), "Estimates made; `custom` is no registry's."
)
CACHE_LOOKUPS: Final = Family(
    "llm_estimate_cache_lookups_total", "counter", ("cache", "result"), "Look-ups in caches, hit or miss."
)
HUB_CALLS: Final = Family(
    "llm_estimate_hub_calls_total", "counter", ("outcome",), "Models asked of the hub: ok, or the error."
)
STORE_DROPPED: Final = Family(
    "llm_estimate_store_dropped_total", "counter", ("kind",), "History and events that were not kept."
)
WORKERS: Final = Family("llm_estimate_workers", "gauge", (), "Worker processes that have served and run.")
RESIDENT: Final = Family(
    "llm_estimate_worker_resident_bytes", "gauge", ("worker",), "Resident memory of each worker."
)
BUILD: Final = Family("llm_estimate_build_info", "gauge", ("python", "version"), "Always 1.")

FAMILIES: Final = (
    REQUESTS, SECONDS, ERRORS, RATE_LIMITED, ESTIMATES, CACHE_LOOKUPS, HUB_CALLS, STORE_DROPPED,
    WORKERS, RESIDENT, BUILD,
)  # fmt: skip


class Metrics(Watch):
    """Counts for all workers together."""

    def __init__(self, counts: SharedCounts) -> None:
        self._counts = counts
        self._caches: Mapping[str, CacheUse] = {}
        self._seen: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def watch_caches(self, caches: Mapping[str, CacheUse]) -> None:
        """Count the look-ups in some caches of the process, from now on."""
        self._caches = caches
        self._seen = {name: use() for name, use in caches.items()}

    def request(self, route: str | None, method: str, status: str, seconds: float, code: str | None) -> None:
        """A request was answered; `code` is that of the error, if it was one."""
        endpoint = _endpoint(route)
        counted: list[tuple[Key, float]] = [
            ((REQUESTS.name, endpoint, method if method in _METHODS else "other", status), 1.0),
            ((SECONDS.name, endpoint, _BOUNDS[bisect_left(BUCKETS, seconds)]), 1.0),
            ((SECONDS.name, endpoint, "sum"), seconds),
        ]
        if code is not None:
            counted.append(((ERRORS.name, endpoint, code), 1.0))
        if status == "429":
            counted.append(((RATE_LIMITED.name, endpoint), 1.0))
        counted += self._cache_lookups()
        self._counts.add(*counted)

    def estimated(self, kind: str, model: str) -> None:
        self._counts.add(((ESTIMATES.name, kind, model), 1.0))

    def asked_hub(self, outcome: str) -> None:
        self._counts.add(((HUB_CALLS.name, outcome), 1.0))

    def dropped(self, kind: str, count: int) -> None:
        self._counts.add(((STORE_DROPPED.name, kind), float(count)))

    def text(self) -> str:
        """Everything, as Prometheus reads it."""
        found: dict[str, dict[Key, float]] = {family.name: {} for family in FAMILIES}
        for key, value in self._counts.totals().items():
            found.get(key[0], {})[key[1:]] = value
        found[BUILD.name] = {(platform.python_version(), VERSION): 1.0}
        workers = self._counts.processes()
        found[WORKERS.name] = {(): float(len(workers))}
        found[RESIDENT.name] = {(str(index),): resident(pid) for index, pid in workers.items()}
        return "".join(f"{line}\n" for family in FAMILIES for line in _lines(family, found[family.name]))

    def _cache_lookups(self) -> list[tuple[Key, float]]:
        """What the caches were asked since the last request that was counted."""
        found: list[tuple[Key, float]] = []
        with self._lock:
            for name, use in self._caches.items():
                before, now = self._seen[name], use()
                self._seen[name] = now
                found += _more(name, "hit", now[0] - before[0]) + _more(name, "miss", now[1] - before[1])
        return found


def _more(cache: str, result: str, count: int) -> list[tuple[Key, float]]:
    return [((CACHE_LOOKUPS.name, cache, result), count)] if count else []


def _endpoint(route: str | None) -> str:
    """A route as the API's description writes it.

    >>> _endpoint("/api/models/<path:name>")
    '/api/models/{name}'
    """
    return _ROUTES.get(route) or _ROUTES.setdefault(route, _PARAMETER.sub(r"{\1}", route or _NO_ROUTE))


def _lines(family: Family, samples: Mapping[Key, float]) -> Iterator[str]:
    yield f"# HELP {family.name} {family.help}"
    yield f"# TYPE {family.name} {family.kind}"
    if family.kind == "histogram":
        yield from _histogram(family, samples)
    else:
        for key in sorted(samples):
            yield f"{family.name}{_labels(family.labels, key)} {_number(samples[key])}"


def _histogram(family: Family, samples: Mapping[Key, float]) -> Iterator[str]:
    """Buckets are counted one by one and told heaped up."""
    labels = (*family.labels, "le")
    for key in sorted({key[:-1] for key in samples}):
        heaps = list(accumulate(samples.get((*key, bound), 0.0) for bound in _BOUNDS))
        for bound, heap in zip(_BOUNDS, heaps, strict=True):
            yield f"{family.name}_bucket{_labels(labels, (*key, bound))} {_number(heap)}"
        yield f"{family.name}_sum{_labels(family.labels, key)} {_number(samples.get((*key, 'sum'), 0.0))}"
        yield f"{family.name}_count{_labels(family.labels, key)} {_number(heaps[-1])}"


def _labels(names: Key, values: Key) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


def resident(pid: int) -> float:
    """Resident memory of a process [bytes]; 0 where the system does not tell."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except OSError:
        return 0.0
    return float(int(pages) * os.sysconf("SC_PAGE_SIZE"))
