"""Grids for the tests."""

from collections.abc import Mapping
from typing import Any

from app.api.schemas.sweeps import POINTS
from app.sweeps.ask import grid_of_request
from app.sweeps.grid import Grid
from app.sweeps.tasks import builtin

VARY: Mapping[str, Any] = {
    "model": ["qwen3-0.6b", {"model_size": 7}],
    "batch_size": {"from": 1, "to": 8, "times": 2},
    "layout": [{"tensor_parallel": 1}, {"tensor_parallel": 3}],
    "sequence_length": {"from": 100, "to": 300, "step": 100},
}


def grid(
    vary: Mapping[str, Any] = VARY,
    fixed: Mapping[str, Any] | None = None,
    calculation: str = "memory_inference",
) -> Grid:
    """The grid of a request as it comes in."""
    asked = {"calculation": calculation, "fixed": {"gpu": "l4"} if fixed is None else fixed, "vary": vary}
    return grid_of_request(asked, POINTS[calculation].load, builtin())
