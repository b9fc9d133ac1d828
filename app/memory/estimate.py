"""The shape of an answer: named terms that add up, per distinct rank, each with where it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

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


@dataclass(frozen=True)
class Rank:
    """One distinct kind of GPU in the deployment: what it does, how many there are, what each holds."""

    role: str
    count: int
    terms: tuple[Term, ...]

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """The terms added up by name [bytes of one GPU]."""
        found: dict[str, int] = {}
        for term in self.terms:
            found[term.name] = found.get(term.name, 0) + term.bytes
        return found

    @cached_property
    def total(self) -> int:
        """Sum of the terms [bytes of one GPU]."""
        return sum(self.sizes.values())


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a GPU holds it, all in bytes of one GPU; `utilization` is need over usable (0 to ...)."""

    fits: bool
    usable_bytes: int
    budget_bytes: int
    free_bytes: int
    utilization: float


@dataclass(frozen=True, slots=True)
class Estimate:
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
