"""How large a sweep may be, and the pieces in which it is computed."""

from typing import Final

from ..errors import InvalidRequest, Problem
from ..messages import Message
from .forms import FORMS
from .grid import Grid

SLOWER: Final = 50  # times fewer points are allowed where each is read alone
SIMULATED: Final = 5000  # times fewer where each is simulated
AT_ONCE: Final = 1000  # points that are answered without waiting
SETTINGS_AT_ONCE: Final = 200
LARGEST_PART: Final = 10_000  # points
SETTINGS_OF_PART: Final = 500
_LOADS: Final = ("request_rate", "concurrency", "length_cv")


def is_slow(grid: Grid) -> bool:
    """Whether its points are read one by one."""
    return FORMS[grid.calculation].lanes is None or any(_sets(grid, name) for name in _LOADS)


def is_simulated(grid: Grid) -> bool:
    """Whether some of its points are simulated."""
    return grid.fixed.get("mode") == "simulate" or any(
        axis.fields(place).get("mode") == "simulate"
        for axis in grid.outer
        if "mode" in axis.names
        for place in range(len(axis))
    )


def most_points(grid: Grid, most: int) -> int:
    """The limit of a sweep of its kind, where fast ones have `most`."""
    return max(1, most // SIMULATED if is_simulated(grid) else most // SLOWER if is_slow(grid) else most)


def check_size(grid: Grid, most: int) -> None:
    """Raise `InvalidRequest` for more points than that."""
    allowed = most_points(grid, most)
    if grid.total > allowed:
        message = Message("sweep_too_large", {"points": grid.total, "most": allowed})
        raise InvalidRequest(message, [Problem("vary", message)])


def is_at_once(grid: Grid) -> bool:
    """Whether it is so small that nobody waits for it."""
    settings = grid.total // grid.lanes
    return grid.total <= most_points(grid, AT_ONCE) and settings <= SETTINGS_AT_ONCE


def part_points(grid: Grid) -> int:
    """Points of one part: a second or two of work at most."""
    if is_slow(grid):
        return max(1, LARGEST_PART // (SIMULATED if is_simulated(grid) else SLOWER))
    return max(SETTINGS_OF_PART, min(LARGEST_PART, SETTINGS_OF_PART * grid.lanes))


def parts(grid: Grid) -> int:
    """How many parts it has."""
    return -(-grid.total // part_points(grid))


def bounds(grid: Grid, index: int) -> tuple[int, int]:
    """The points of a part, from and to."""
    size = part_points(grid)
    return index * size, min(grid.total, (index + 1) * size)


def _sets(grid: Grid, name: str) -> bool:
    return bool(grid.fixed.get(name)) or any(name in axis.names for axis in grid.axes)
