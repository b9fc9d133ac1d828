"""Why several answers differ: each field that varies, and what changing it alone does to each component."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final

import orjson

from .sized import DIMENSIONS

Values = Mapping[str, Any]
Sizes = Mapping[str, int]

# Fields that only mean something together vary as one.
_GROUPS: Final = (
    ("model", ("model_name", "config", "model_size", *DIMENSIONS)),
    ("sequence_length", ("sequence_length", "input_length", "output_length")),
    ("data_parallel", ("data_parallel", "num_gpus")),
)
_GROUP_OF: Final = {field: group for group, fields in _GROUPS for field in fields}
_NO_CAUSE: Final = frozenset({"explain", "unit"})
_MOST_EXTRA: Final = 64  # estimates made only to tell causes apart


class Comparison:
    """Configurations that were answered, beside their sizes; `None` stands for one that failed."""

    def __init__(
        self,
        configurations: Sequence[Values | None],
        sizes: Sequence[Sizes | None],
        estimate: Callable[[Values], Sizes | None],
    ) -> None:
        self._parts = [None if values is None else _by_group(values) for values in configurations]
        self._sizes = sizes
        self._estimate = estimate
        self._extra = 0
        self._known: dict[Hashable, Sizes | None] = {}

    def summary(self, total_name: str) -> dict[str, Any]:
        """Positions of the smallest and largest answer, and the differences against the first.

        Each difference names a field, its value in each configuration, and by component the bytes that
        changing this field alone from the first configuration's value makes [bytes, null where unknown].
        """
        totals = {place: sizes[total_name] for place, sizes in enumerate(self._sizes) if sizes is not None}
        if not totals:
            return {"by": total_name, "smallest": None, "largest": None, "differences": []}
        return {
            "by": total_name,
            "smallest": min(totals, key=totals.__getitem__),
            "largest": max(totals, key=totals.__getitem__),
            "differences": self._differences(min(totals)),
        }

    def _differences(self, base: int) -> list[dict[str, Any]]:
        for parts, sizes in zip(self._parts, self._sizes, strict=True):
            if parts is not None and sizes is not None:
                self._known.setdefault(_key(parts), sizes)
        first = self._parts[base] or {}
        groups = dict.fromkeys(group for parts in self._parts if parts for group in parts)
        varying = [group for group in groups if any(_varies(group, first, parts) for parts in self._parts)]
        return [self._difference(group, base) for group in varying]

    def _difference(self, group: str, base: int) -> dict[str, Any]:
        first, origin = self._parts[base] or {}, self._sizes[base] or {}
        changed = [self._changed(group, first, parts) for parts in self._parts]
        names = dict.fromkeys(name for sizes in changed if sizes for name in sizes)
        deltas = {
            name: [None if sizes is None else sizes.get(name, 0) - origin.get(name, 0) for sizes in changed]
            for name in names
        }
        values = [None if parts is None else _shown(parts.get(group, {})) for parts in self._parts]
        return {
            "field": group,
            "values": values,
            "bytes": {name: row for name, row in deltas.items() if any(row)},
        }

    def _changed(
        self, group: str, first: Mapping[str, Values], parts: Mapping[str, Values] | None
    ) -> Sizes | None:
        """The sizes of the first configuration with one group of fields changed to another's."""
        if parts is None:
            return None
        mixed = {**first, group: parts.get(group, {})}
        key = _key(mixed)
        if key not in self._known and self._extra < _MOST_EXTRA:
            self._extra += 1
            self._known[key] = self._estimate(
                {name: value for part in mixed.values() for name, value in part.items()}
            )
        return self._known.get(key)


def _by_group(values: Values) -> dict[str, dict[str, Any]]:
    parts: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        if name not in _NO_CAUSE:
            parts.setdefault(_GROUP_OF.get(name, name), {})[name] = value
    return parts


def _key(parts: Mapping[str, Values]) -> bytes:
    return orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)


def _varies(group: str, first: Mapping[str, Values], parts: Mapping[str, Values] | None) -> bool:
    return parts is not None and parts.get(group, {}) != first.get(group, {})


def _shown(part: Values) -> Any:
    """A group's one value as such; several as an object; a configuration by its type."""
    shown = {
        name: value.get("model_type", "config") if name == "config" else value for name, value in part.items()
    }
    return next(iter(shown.values())) if len(shown) == 1 else shown or None
