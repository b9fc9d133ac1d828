"""The points of a sweep: every combination of its axes, found by number, never all at once.

Axes of batch sizes and lengths turn fastest: the points between two settings of the other axes are the
lanes that one array form answers together.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, Final

from msgspec import Struct

Values = Mapping[str, Any]

LANES: Final = frozenset({"batch_size", "sequence_length", "input_length", "output_length"})


class Axis(Struct, frozen=True):
    """One thing that varies: its name, and for each place the fields that it sets.

    `places` of an axis of one field are that field's values (a `range` of them where that is shorter).
    """

    name: str
    places: Sequence[Any]
    single: bool = True

    def __len__(self) -> int:
        return len(self.places)

    def fields(self, place: int) -> Values:
        """What a place sets."""
        value = self.places[place]
        return {self.name: value} if self.single else value

    @property
    def names(self) -> tuple[str, ...]:
        """Every field that some place sets."""
        if self.single:
            return (self.name,)
        return tuple(dict.fromkeys(name for value in self.places for name in value))

    @property
    def is_of_lanes(self) -> bool:
        """Whether every place sets the same batch sizes and lengths, and nothing else."""
        if self.single:
            return self.name in LANES
        return LANES.issuperset(self.names) and all(len(value) == len(self.names) for value in self.places)


class Slice(Struct, frozen=True):
    """Points `start` to `stop` of one setting: `values` are those of every point here."""

    values: Values
    start: int
    stop: int


@dataclass(frozen=True)
class Grid:
    """What is common to all points, and the axes, of which those of lanes come last."""

    calculation: str
    fixed: Values
    axes: tuple[Axis, ...]

    @cached_property
    def total(self) -> int:
        """How many points there are."""
        return prod(map(len, self.axes))

    @cached_property
    def outer(self) -> tuple[Axis, ...]:
        """The axes of settings."""
        return tuple(axis for axis in self.axes if not axis.is_of_lanes)

    @cached_property
    def inner(self) -> tuple[Axis, ...]:
        """The axes of lanes."""
        return tuple(axis for axis in self.axes if axis.is_of_lanes)

    @cached_property
    def lanes(self) -> int:
        """Points of one setting."""
        return prod(map(len, self.inner))

    @cached_property
    def varied(self) -> tuple[str, ...]:
        """Every field that varies."""
        ordered = (*self.outer, *self.inner)
        return tuple(dict.fromkeys(name for axis in ordered for name in axis.names))

    def slices(self, start: int, stop: int) -> Iterator[Slice]:
        """The settings that points `start` to `stop` lie in; `Slice.start` and `stop` count lanes."""
        while start < stop:
            setting, lane = divmod(start, self.lanes)
            end = min(self.lanes, lane + stop - start)
            yield Slice(self.setting(setting), lane, end)
            start += end - lane

    def setting(self, number: int) -> Values:
        """What the outer axes set at one of their combinations."""
        return self._set(self.outer, number)

    def point(self, lane: int) -> Values:
        """What the inner axes set at one lane."""
        return self._set(self.inner, lane)

    def _set(self, axes: Sequence[Axis], number: int) -> Values:
        found: list[Values] = []
        for axis in reversed(axes):
            number, place = divmod(number, len(axis))
            found.append(axis.fields(place))
        return {name: value for fields in reversed(found) for name, value in fields.items()}


def grid_of(document: Values) -> Grid:
    """A grid as it was written down by `document_of`."""
    axes = tuple(
        Axis(each["name"], range(*each["range"]) if "range" in each else each["places"], each["single"])
        for each in document["axes"]
    )
    return Grid(document["calculation"], document["fixed"], axes)


def document_of(grid: Grid) -> dict[str, Any]:
    """A grid as plain data, ranges as such."""
    return {
        "calculation": grid.calculation,
        "fixed": dict(grid.fixed),
        "axes": [{"name": axis.name, "single": axis.single, **_places(axis.places)} for axis in grid.axes],
    }


def _places(places: Sequence[Any]) -> dict[str, Any]:
    if isinstance(places, range):
        return {"range": [places.start, places.stop, places.step]}
    return {"places": list(places)}
