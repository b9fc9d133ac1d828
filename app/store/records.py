"""What goes into the store and comes out of it, as plain values that need no database library."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from msgspec import Struct

HOUR: Final = 3600  # [s]
DAY: Final = 24 * HOUR


class EventKey(NamedTuple):
    """What is counted together; `hour` counts from 1970."""

    hour: int
    event: str
    type: str


class EventSum(Struct, frozen=True):
    """How often, how many of them said how long they took, and those durations [ms]."""

    count: int
    timed: int
    duration: float
    longest: float

    @classmethod
    def one(cls, duration: float | None) -> "EventSum":
        """A single event."""
        return cls(1, 0, 0.0, 0.0) if duration is None else cls(1, 1, duration, duration)

    def __add__(self, other: "EventSum") -> "EventSum":
        return EventSum(
            self.count + other.count,
            self.timed + other.timed,
            self.duration + other.duration,
            max(self.longest, other.longest),
        )


class EventLine(Struct, frozen=True):
    """Sums over some hours."""

    event: str
    type: str
    sums: EventSum


class DayLine(Struct, frozen=True):
    """All events of a day, which counts from 1970."""

    day: int
    count: int


class NewEntry(Struct, frozen=True):
    """What is to be kept: `search` is the text that a search looks in; `created` is [s] since 1970."""

    owner: str
    kind: str
    request: Mapping[str, Any]
    summary: Mapping[str, Any]
    search: str
    created: float


class HistoryEntry(Struct, frozen=True):
    """What was kept."""

    id: int
    kind: str
    request: Mapping[str, Any]
    summary: Mapping[str, Any]
    created: float


class Share(Struct, frozen=True):
    """A state; times are [s] since 1970, `expires` is None for one that stays."""

    id: str
    state: str
    created: float
    expires: float | None

    def valid_at(self, moment: float) -> bool:
        """Whether it has not expired."""
        return self.expires is None or moment < self.expires
