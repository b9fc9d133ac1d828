"""Lists of module names as quantization configurations write them: exact, by prefix, wildcard or regex.

Three dialects meet here: transformers (`modules_to_not_convert`: a name, a prefix or the end of one),
compressed-tensors (`ignore`, `targets`: names, class names, `re:` and a regular expression) and ModelOpt
(`exclude_modules`: shell wildcards). Regular expressions of strangers are cut at `.*` and matched piece by
piece, and only where the ways of matching a piece are few: no pattern can take exponential time.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache

from ..budget import turn
from ..errors import InvalidConfig
from ..messages import Message
from .backtracking import ways

LONGEST = 400
MOST = 2000  # expressions and wildcards in one list; exact names are without number
MOST_WAYS = 40_000  # in which one expression may be tried at one place
CLASSES = frozenset({"Linear"})

# Parts of a module's path that checkpoints and implementations nest in different orders.
_WRAPPERS = frozenset({"model", "language_model", "text_model", "llm", "thinker", "transformer"})


@dataclass(frozen=True)
class Patterns:
    """Names and patterns of modules."""

    exact: frozenset[str] = frozenset()
    regexes: tuple[str, ...] = ()
    wildcards: tuple[str, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[object]) -> "Patterns":
        """Sorted by kind; anything but strings is passed over. Raises `InvalidConfig` for too many."""
        texts = [entry for entry in entries if isinstance(entry, str) and 0 < len(entry) <= LONGEST]
        exact = frozenset(_module(text) for text in texts if not text.startswith("re:") and "*" not in text)
        regexes = tuple(dict.fromkeys(text[3:] for text in texts if text.startswith("re:")))
        wildcards = tuple(dict.fromkeys(t for t in texts if not t.startswith("re:") and "*" in t))
        if len(regexes) + len(wildcards) > MOST:
            raise InvalidConfig(
                Message("too_many_patterns", {"count": len(regexes) + len(wildcards), "limit": MOST})
            )
        return cls(exact, regexes, wildcards)

    @property
    def by_layer(self) -> bool:
        """Whether any entry has a number in it, so that layers may differ."""
        return any(any(ch.isdigit() for ch in text) for text in (*self.exact, *self.regexes, *self.wildcards))

    @property
    def all_linear(self) -> bool:
        """Whether the class name of linear layers is among them."""
        return bool(self.exact & CLASSES)

    def match(self, names: Sequence[str]) -> bool:
        """Whether any of a module's names is meant."""
        return any(self._match(name) for name in names)

    def _match(self, name: str) -> bool:
        short = bare(name)
        parts = short.split(".")
        stretches = {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
        stretches |= {".".join(parts[start:]) for start in range(len(parts))}
        if self.exact & stretches:
            return True
        full = (name, short, f"model.{short}", f"language_model.model.{short}")
        return any(_regex(pattern, other) for pattern in self.regexes for other in full) or any(
            _wildcard(pattern, other) for pattern in self.wildcards for other in full
        )


def _module(text: str) -> str:
    """A module's path from its own name or its weight's."""
    return bare(text.removesuffix(".weight"))


@lru_cache(maxsize=4096)
def bare(name: str) -> str:
    """A module's path without the wrappers before its own part.

    >>> bare("model.language_model.layers.0.mlp"), bare("language_model.lm_head")
    ('layers.0.mlp', 'lm_head')
    """
    parts = name.strip(".").split(".")
    while len(parts) > 1 and parts[0] in _WRAPPERS:
        parts = parts[1:]
    return ".".join(parts)


@lru_cache(maxsize=16384)
def _wildcard(pattern: str, name: str) -> bool:
    turn()
    pieces = pattern.split("*")
    if "[" in pattern or "?" in pattern:
        return len(pieces) <= 4 and re.match(translate(pattern), name) is not None
    if not name.startswith(pieces[0]) or len(name) < len(pieces[0]) + len(pieces[-1]):
        return False
    at, end = len(pieces[0]), len(name) - len(pieces[-1])
    for piece in pieces[1:-1]:
        found = name.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return name.endswith(pieces[-1])


@lru_cache(maxsize=16384)
def _regex(pattern: str, name: str) -> bool:
    """Whether the expression matches from the start of the name (as `re.match`)."""
    turn()
    at = 0
    for number, piece in enumerate(_pieces(pattern)):
        found = piece.search(name, at) if number else piece.match(name)
        if found is None:
            return False
        at = found.end()
    return bool(_pieces(pattern))


@lru_cache(maxsize=2048)
def _pieces(pattern: str) -> tuple[re.Pattern[str], ...]:
    """The expression between its wildcards, compiled; none where it is wrong or could take long."""
    pieces = pattern.removeprefix("^").split(".*")
    try:
        if all(ways(piece) <= MOST_WAYS for piece in pieces):
            return tuple(re.compile(piece) for piece in pieces)
    except (re.error, OverflowError, RecursionError):
        pass  # a group that spans a wildcard cannot be cut: looked at as a whole
    try:
        return (re.compile(pattern),) if ways(pattern) <= MOST_WAYS else ()
    except (re.error, OverflowError, RecursionError):
        return ()
