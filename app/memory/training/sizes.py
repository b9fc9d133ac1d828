"""Sizes as polynomials: bytes that are a combination of 1, s, n and n*s (n = batch x sequence s).

The four coefficients are packed into one integer, 64 bits each, so that sums, differences and whole
multiples of sizes are plain integer arithmetic: `4 * heads * TOKENS + 2 * PAIRS`. Every size that is
held is a sum of storages, so no coefficient is ever negative and fields never borrow.
"""

from collections.abc import Iterable
from typing import Final

Coefficients = tuple[int, int, int, int]

_BITS: Final = 64
_MASK: Final = (1 << _BITS) - 1

ONE: Final = 1  # whatever the batch and length
SEQUENCE: Final = 1 << _BITS  # per position: s
TOKENS: Final = 1 << 2 * _BITS  # per token: n = b * s
PAIRS: Final = 1 << 3 * _BITS  # per query and key: n * s


def coefficients(size: int) -> Coefficients:
    """The coefficients of 1, s, n and n*s.

    >>> coefficients(3 * TOKENS + 7)
    (7, 0, 3, 0)
    """
    return size & _MASK, size >> _BITS & _MASK, size >> 2 * _BITS & _MASK, size >> 3 * _BITS


def share(size: int, parts: int) -> int:
    """One of `parts` equal shares, each coefficient rounded up.

    >>> coefficients(share(10 * TOKENS + 3, 4))
    (1, 0, 3, 0)
    """
    if parts == 1 or not size:
        return size
    one, sequence, tokens, pairs = (-(-part // parts) for part in coefficients(size))
    return one + sequence * SEQUENCE + tokens * TOKENS + pairs * PAIRS


def at(size: int, batch: int, length: int) -> int:
    """The size at `batch` sequences of `length` tokens.

    >>> at(2 * TOKENS + PAIRS, 3, 10)
    360
    """
    one, sequence, tokens, pairs = coefficients(size)
    return one + length * (sequence + batch * (tokens + length * pairs))


def undominated(sizes: Iterable[int]) -> list[int]:
    """The sizes that some batch and length could make the largest: none is below another in every part."""
    kept: list[tuple[Coefficients, int]] = []
    for size in sorted(set(sizes), key=lambda size: sum(coefficients(size)), reverse=True):
        parts = coefficients(size)
        if not any(all(mine <= theirs for mine, theirs in zip(parts, other, strict=True)) for other, _ in kept):
            kept.append((parts, size))
    return [size for _, size in kept]
