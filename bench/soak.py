"""`make soak`: many varied requests, among them wrong ones; nothing may fail, and memory must stay flat.

Memory is each worker's proportional set size: its own pages, and its share of those it has in common.
"""

import argparse
import itertools
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .client import Address, for_answers, get, hammer, post
from .load import CONNECTIONS, MODELS, serving

MOST_GROWTH = 0.05
WARM_UP, WARM_UPS, MOST_WARM_UPS = (
    3000,
    2,
    8,
)  # requests that fill caches, and how often: until memory settles
SETTLED = 0.01
STEPS = 10

MEMORY, TRAINING = "/api/memory/inference", "/api/memory/training"
LLAMA = {"model_type": "llama", "hidden_size": 512, "num_hidden_layers": 4, "num_attention_heads": 8}
MIXTRAL = {"model_type": "mixtral", "hidden_size": 256, "num_hidden_layers": 6, "num_local_experts": 8}


def _named(n: int) -> dict[str, Any]:
    return {"model_name": MODELS[n % len(MODELS)], "batch_size": n % 64 + 1, "sequence_length": 64 + n % 1900}


# What is asked in turn, each with the status that it must get; `n` makes every request another one.
KINDS: tuple[tuple[int, Callable[[int], tuple[str, Any]]], ...] = (
    (200, lambda n: (MEMORY, {**_named(n), "gpu": "H100-80GB"})),
    (200, lambda n: (MEMORY, {"config": {**LLAMA, "vocab_size": 1000 + n}})),
    (200, lambda n: (TRAINING, {**_named(n), "method": "lora"})),
    (200, lambda n: (MEMORY, {"model_size": 1 + n % 70, "precision": "fp16"})),
    (200, lambda n: (MEMORY, {"config": {**MIXTRAL, "vocab_size": 1000 + n}, "tensor_parallel": 2})),
    (200, lambda n: ("/api/performance/inference", {**_named(n), "gpu": "H200"})),
    (200, lambda n: ("/api/models/inspect", {"config": {**LLAMA, "num_hidden_layers": 1 + n % 90}})),
    (200, lambda n: (f"/api/models/{MODELS[n % len(MODELS)]}", None)),
    (200, lambda n: ("/health/ready", None)),
    (400, lambda n: (MEMORY, {**_named(n), "batch_size": -n})),
    (400, lambda n: (MEMORY, {**_named(n), f"no_such_field_{n}": 1})),
    (404, lambda n: (MEMORY, {"model_name": f"nobody/model-{n}"})),
    (422, lambda n: (MEMORY, {"config": {"model_type": f"unheard-of-{n}"}})),
    (400, lambda n: (MEMORY, {"config": {**LLAMA, "hidden_size": -1 - n}})),
    (404, lambda n: (f"/no/such/path/{n}", None)),
)  # fmt: skip


def requests() -> Iterator[bytes]:
    """Requests of all kinds in turn, no two of them alike except where there is nothing to vary."""
    for n in itertools.count():
        for _, make in KINDS:
            yield _request(*make(n))


def _request(path: str, body: Any) -> bytes:
    return get(path) if body is None else post(path, json.dumps(body).encode())


def _new_configurations() -> Iterator[bytes]:
    for n in itertools.count(1):
        yield _request(MEMORY, {"config": {**(LLAMA, MIXTRAL)[n % 2], "vocab_size": 10**6 + n}})


@dataclass
class Soak:
    """What a soak has come to: answers by status, broken connections, each worker's memory [bytes]."""

    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    memory: list[dict[int, int]] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """The largest growth of a worker's memory since it had settled; 1.0 where one was replaced."""
        settled, last = self.memory[0], self.memory[-1]
        if set(settled) != set(last):
            return 1.0
        return max(last[pid] / settled[pid] - 1 for pid in last)

    def unexpected(self) -> dict[int, int]:
        """Answers that should not be: every kind was asked as often as the others, give or take a round."""
        turns = self.statuses.total() / len(KINDS)
        wanted = Counter(status for status, _ in KINDS)
        return {
            status: count
            for status, count in self.statuses.items()
            if abs(count - turns * wanted[status]) > 2 * len(KINDS)
        }


def soak(address: Address, master: int, count: int, connections: int, tell: Callable[[str], None]) -> Soak:
    """Warm up, send so many requests in steps, and look at the workers' memory after each."""
    found, sent = Soak(), requests()
    found.memory.append(_warm(address, master, connections))
    tell(_line("warm", 0.0, found))
    for step in range(STEPS):
        outcome = hammer(address, sent, connections, for_answers(count // STEPS))
        found.statuses += outcome.statuses
        found.broken += outcome.broken
        found.memory.append(_memory(master))
        tell(_line(f"{(step + 1) / STEPS:.0%}", outcome.rate, found))
    return found


def _warm(address: Address, master: int, connections: int) -> dict[int, int]:
    """Each worker's memory once new configurations have filled its caches, or after enough of them."""
    hammer(address, requests(), connections, for_answers(WARM_UP))
    sent, memory = _new_configurations(), _memory(master)
    for done in range(1, MOST_WARM_UPS + 1):
        before, _ = memory, hammer(address, sent, connections, for_answers(WARM_UP))
        memory = _memory(master)
        settled = all(memory[pid] < before.get(pid, 0) * (1 + SETTLED) for pid in memory)
        if settled and done >= WARM_UPS:
            break
    return memory


def _line(what: str, rate: float, found: Soak) -> str:
    workers = ", ".join(f"{size / 1e6:.1f}" for size in found.memory[-1].values())
    return f"{what:>4}  {rate:6,.0f} requests/s   workers {workers} MB"


def _memory(master: int) -> dict[int, int]:
    """Each worker's memory [bytes] by its process id."""
    return {pid: proportional_memory(pid) for pid in children_of(master)}


def children_of(pid: int) -> list[int]:
    """The processes that one has started: a gunicorn's workers."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def proportional_memory(pid: int) -> int:
    """A process's proportional set size [bytes]."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def main() -> int:
    """Soak, print, and say by the exit code whether all was well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        serving("server.py", log=Path(folder) / "service.log") as running,
    ):
        found = soak(running.address, running.pid, options.requests, options.connections, _print)
    good = not found.unexpected() and not found.broken and found.growth <= MOST_GROWTH
    print(f"\n{found.statuses.total():,} answers: {dict(sorted(found.statuses.items()))}")
    print(f"unexpected: {found.unexpected()}, broken connections: {found.broken}")
    print(f"growth after warming up: {found.growth:.1%} (at most {MOST_GROWTH:.0%})")
    print("ok" if good else "MISSED")
    return 0 if good else 1


def _print(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
