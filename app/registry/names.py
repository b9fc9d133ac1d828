"""Names as people type them: matched whatever the case and the `-`, `_`, `.` and spaces, never by likeness.

Two names may differ in nothing but a separator (`opt-1.3b`, `opt-13b`), so a name is looked up in spellings
that forgive more and more, and the first spelling that fits anything decides.
"""

import math
import re
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from itertools import takewhile
from typing import Generic, TypeVar

from ..errors import UnknownName
from ..messages import Message

T = TypeVar("T")

LONGEST_NAME = 256  # [characters]; longer ones are not compared
_SEPARATORS = re.compile(r"[-_. ]+")
_BUT_POINTS = re.compile(r"[-_ ]+")
_SIZE = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)\s*(b|m|gb)(?![a-z])", re.IGNORECASE)


def normalised(name: str) -> str:
    """A name without its case and separators.

    >>> normalised("RTX-4090"), normalised("Qwen3_0.6B")
    ('rtx4090', 'qwen306b')
    """
    return _SEPARATORS.sub("", name.casefold())


def _spellings(name: str) -> tuple[str, str, str, str]:
    """From the strictest to the most forgiving: as typed, separators alike, points kept, none kept."""
    lower = name.casefold().strip()
    return lower, _SEPARATORS.sub("-", lower), _BUT_POINTS.sub("", lower), normalised(lower)


class NameIndex(Generic[T]):
    """Things under one or more names each; the first thing to take a name keeps it."""

    def __init__(self) -> None:
        self._names: dict[str, T] = {}
        self._by_normalised: dict[str, list[str]] = {}

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def add(self, name: str, thing: T) -> bool:
        """Put a thing under a name; False where another thing has it already."""
        lower = name.casefold()
        if lower in self._names:
            return self._names[lower] == thing
        self._names[lower] = thing
        self._by_normalised.setdefault(normalised(name), []).append(lower)
        return True

    def get(self, name: str) -> T | None:
        """The one thing that a name means, or None; also None where a sloppy spelling fits several."""
        candidates = self._by_normalised.get(normalised(name), ())
        for level, spelling in enumerate(_spellings(name)):
            fitting = [each for each in candidates if _spellings(each)[level] == spelling]
            if fitting:
                first = self._names[fitting[0]]
                return first if all(self._names[each] == first for each in fitting) else None
        return None

    def fitting(self, name: str) -> list[T]:
        """Everything that the most forgiving spelling of a name could mean."""
        return [self._names[each] for each in self._by_normalised.get(normalised(name), ())]


def likeness(asked: str, name: str) -> float:
    """How near a name is to the one asked for; families and sizes count more than letters."""
    one, other = normalised(asked.rsplit("/", 1)[-1]), normalised(name)
    letters = SequenceMatcher(None, other, one, autojunk=False).ratio()
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    return letters + shared / max(len(one), 1) + 0.3 * _size_likeness(asked, name)


def _size_likeness(asked: str, name: str) -> float:
    one, other = _size(asked), _size(name)
    return 1 / (1 + abs(math.log2(one / other))) if one and other else 0.0


def _size(name: str) -> float:
    """Billions of parameters, or gigabytes, that a name speaks of; 0 where it does not."""
    found = _SIZE.search(name)
    if not found:
        return 0.0
    return float(found[1]) / (1000 if found[2].lower() == "m" else 1)


def closest_names(asked: str, names: Iterable[str], count: int = 5) -> tuple[str, ...]:
    """The likeliest of `names`, best first; none for a name too long to be one."""
    if not asked or len(asked) > LONGEST_NAME:
        return ()
    return tuple(sorted(names, key=lambda name: -likeness(asked, name))[:count])


def unknown(code: str, asked: str, names: Iterable[str]) -> UnknownName:
    """The error for a name that is not there, with the closest ones in its sentence."""
    closest = closest_names(asked, names)
    shown = asked if len(asked) <= LONGEST_NAME else asked[:LONGEST_NAME] + "…"
    return UnknownName(Message(code, {"name": shown, "closest": ", ".join(closest) or "–"}), closest)
