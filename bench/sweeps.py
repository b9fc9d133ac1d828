"""A sweep's points: processor time of each, whatever the grid's size, and memory that stays flat."""

import resource
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from app.sweeps.grid import Axis, Grid
from app.sweeps.part import evaluate, pack
from app.sweeps.sizes import bounds, parts
from app.sweeps.tasks import builtin

Row = tuple[str, float, float | None]  # what, measured, limit

LIMIT = 50.0  # [µs] of a point: 20,000 of them a second
MODELS = ("Qwen3-8B", "Qwen3-32B", "gemma-3-27b-it", "DeepSeek-V3", "Llama-3.1-70B")
GPUS = ("h100-sxm-80gb", "a100-sxm-80gb", "l40s", "h200-sxm-141gb")
WIDE: dict[str, Sequence[Any]] = {  # five models on four accelerators: 96 points of a setting
    "model_name": MODELS,
    "gpu": GPUS,
    "tensor_parallel": (1, 2, 4, 8),
    "batch_size": (1, 2, 4, 8, 16, 32, 64, 128),
    "sequence_length": range(1024, 12 * 1024 + 1, 1024),
}


def rows() -> Iterator[Row]:
    """Microseconds of a point, packed as the store keeps it; then the growth of memory [MB]."""
    for calculation in ("memory_inference", "performance_inference"):
        yield (
            f"sweep, a point of {calculation}, 96 of each setting",
            _per_point(_grid(calculation, WIDE)),
            LIMIT,
        )
        for count in (10_000, 100_000, 1_000_000):
            yield (
                f"sweep, a point of {calculation}, {count:,} points",
                _per_point(_deep(calculation, count)),
                LIMIT,
            )
    load = Grid("performance_inference", {"request_rate": 1.0}, _deep("", 400).axes)
    yield "sweep, a point under load, each read alone", _per_point(load), None
    yield "sweep, memory grown from 100,000 points to 1,000,000 [MB]", _growth(), 8.0


def _grid(calculation: str, axes: dict[str, Sequence[Any]]) -> Grid:
    return Grid(calculation, {}, tuple(Axis(name, places) for name, places in axes.items()))


def _deep(calculation: str, count: int) -> Grid:
    """Few settings with many batches and lengths."""
    axes = {
        "model_name": MODELS[:2],
        "gpu": GPUS[:2],
        "batch_size": range(1, 101),
        "sequence_length": range(64, 64 + count // 400),
    }
    return _grid(calculation, axes)


def _per_point(grid: Grid, rounds: int = 2) -> float:
    """The best of some rounds [µs]."""
    found = []
    for _ in range(rounds):
        started = time.process_time()
        for _payload in _payloads(grid):
            pass
        found.append(time.process_time() - started)
    return min(found) / grid.total * 1e6


def _payloads(grid: Grid) -> Iterator[bytes]:
    for index in range(parts(grid)):
        yield pack(evaluate(grid, *bounds(grid, index), builtin()))


def _growth() -> float:
    """How much more memory is resident at most later on than after the first hundred thousand points [MB]."""
    grid = _deep("performance_inference", 1_000_000)
    found = [_resident() for _payload in _payloads(grid)]
    tenth = len(found) // 10
    return (max(found[tenth:]) - max(found[:tenth])) / 1e6


def _resident() -> int:
    """Memory of this process [bytes]."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
