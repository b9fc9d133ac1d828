"""The shape of an answer: named terms that add up, per distinct rank, each with where it comes from."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from msgspec import Struct, field

from ..messages import Message


class Term(NamedTuple):
    """One named part of the need [bytes], with the formula, the values put into it and its source.

    `low` and `high` bound the bytes that measured runs would show (90 of 100); a term that is exact
    leaves both out.
    """

    name: str
    bytes: int
    formula: str
    values: Mapping[str, Any]
    source: str
    low: int | None = None
    high: int | None = None


class Rank:
    """One distinct kind of GPU in the deployment: what it does, how many there are, what each holds.

    `sizes`: the terms added up by name, `total`: their sum [bytes of one GPU].
    """

    __slots__ = ("count", "role", "sizes", "terms", "total")

    def __init__(self, role: str, count: int, terms: tuple[Term, ...]) -> None:
        self.role, self.count, self.terms = role, count, terms
        sizes: dict[str, int] = {}
        for term in terms:
            name = term.name
            sizes[name] = sizes.get(name, 0) + term.bytes
        self.sizes: Mapping[str, int] = sizes
        self.total = sum(sizes.values())


class Fit(Struct, frozen=True):
    """Whether a GPU holds it, all in bytes of one GPU; `utilization` is need over usable (0 to ...)."""

    fits: bool
    usable_bytes: int
    budget_bytes: int
    free_bytes: int
    utilization: float


class Estimate(Struct, frozen=True):
    """An answer: every distinct rank, the fullest first, and what else was found on the way.

    `total_name` is the key of the sum (`inference_memory`, `training_memory`). `parameters` are the
    resolved choices (backend version, block size, ...) by their contract names, `extra` holds further
    answer sections by their contract keys (capacity, timeline, maxima_bytes, ...), already plain data.
    """

    total_name: str
    ranks: tuple[Rank, ...]
    warnings: tuple[Message, ...] = ()
    fit: Fit | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fullest(self) -> Rank:
        """The rank that decides whether it fits."""
        return max(self.ranks, key=lambda rank: rank.total)

    @property
    def total(self) -> int:
        """The need of the fullest rank [bytes]."""
        return self.fullest.total
