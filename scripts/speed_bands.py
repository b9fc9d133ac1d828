"""The 90% bands of speeds: how far rows of a source and device lie that no fit has seen.

Few sources measured most regimes, and a quantile of five groups cannot be told. So a distance is first put
over what is usual of its regime, read off the other groups and drawn towards what the regime is part of; such
shares are alike over regimes, and their quantile is taken over the groups of all: conformal prediction
with a scale, where whole groups are exchanged and one more than seen stands in view. Every group weighs the
same in both, whatever its rows. Taking a group's median or its root mean square for its mean, or one quantile
for each figure, changes which bands are a little wide or narrow, and nothing else.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import exp, log
from statistics import mean
from typing import NamedTuple

HELD = 0.9  # of a further group's rows
DRAWN = 2.0  # groups that what a regime is part of counts for
LEAST = 1e-3  # a distance below which a group tells nothing more
LLAMA = "llama.cpp"

Typical = Mapping[str, Mapping[str, float]]


class Distance(NamedTuple):
    """|log(measured / predicted)| of a row left out with its group, and its regimes, the closest first."""

    group: str
    regimes: tuple[str, ...]
    value: float

    @property
    def family(self) -> str:
        """Rows among which one quantile is taken: those of servers and libraries, and those of llama.cpp."""
        return LLAMA if LLAMA in self.regimes[0] else "servers"


def bands_of(rows: Sequence[Distance]) -> dict[str, list[float]]:
    """Multiples of an answer between which nine of ten measured values of a further group lie, by regime."""
    typical, shares = typical_of(rows), shares_of(rows)
    found = {}
    for row in rows:
        for place, regime in enumerate(row.regimes if row.family in shares else ()):
            wide = shares[row.family] * usual(typical, row.regimes[place:])
            found[regime] = [round(exp(-wide), 3), round(exp(wide), 3)]
    return dict(sorted(found.items()))


def typical_of(rows: Iterable[Distance]) -> dict[str, dict[str, float]]:
    """The mean distance of each group in each regime."""
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        for regime in row.regimes:
            found.setdefault(regime, {}).setdefault(row.group, []).append(row.value)
    return {
        regime: {group: max(LEAST, mean(values)) for group, values in groups.items()}
        for regime, groups in found.items()
    }


def usual(typical: Typical, regimes: Sequence[str], without: str = "") -> float:
    """What is usual of a regime, other groups than one: a geometric mean, drawn towards its parents'.

    0 where there is no other group.
    """
    found: float | None = None
    for regime in reversed(regimes):
        logs = [log(value) for group, value in typical.get(regime, {}).items() if group != without]
        if found is None:
            found = mean(logs) if logs else None
        else:
            found = (sum(logs) + DRAWN * found) / (len(logs) + DRAWN)
    return exp(found) if found is not None else 0.0


def shares_of(rows: Sequence[Distance]) -> dict[str, float]:
    """By family, the multiple of what other groups make usual that holds nine of ten rows of one more."""
    typical = typical_of(rows)
    found: dict[str, dict[tuple[str, str], list[float]]] = {}
    for row in rows:
        if others := usual(typical, row.regimes, row.group):
            groups = found.setdefault(row.family, {})
            groups.setdefault((row.group, row.regimes[0]), []).append(row.value / others)
    return {family: quantile_over(list(groups.values())) for family, groups in found.items()}


def quantile_over(groups: Sequence[Sequence[float]]) -> float:
    """The value below which nine of ten lie where each group weighs the same, and one more is to come.

    >>> quantile_over([[1.0], [2.0]])
    2.0
    """
    needed = min(1.0, HELD * (1 + 1 / len(groups))) * len(groups)
    ordered = sorted((value, 1 / len(values)) for values in groups for value in values)
    seen = 0.0
    for value, weight in ordered:
        seen += weight
        if seen >= needed - 1e-9:
            return value
    return ordered[-1][0]
