"""Sizes as polynomials: bytes that are a combination of 1, s, n, n*s and s*s (n = batch x sequence s).

The five coefficients are packed into one integer, 64 bits each, so that sums, differences and whole
multiples of sizes are plain integer arithmetic: `4 * heads * TOKENS + 2 * PAIRS`. Every size that is
held is a sum of storages, so no coefficient is ever negative and fields never borrow.
"""

from typing import Final

Coefficients = tuple[int, int, int, int, int]

_BITS: Final = 64
_MASK: Final = (1 << _BITS) - 1

ONE: Final = 1  # whatever the batch and length
SEQUENCE: Final = 1 << _BITS  # per position: s
TOKENS: Final = 1 << 2 * _BITS  # per token: n = b * s
PAIRS: Final = 1 << 3 * _BITS  # per query and key: n * s
SQUARE: Final = 1 << 4 * _BITS  # per query and key, shared by the batch: s * s


def coefficients(size: int) -> Coefficients:
    """The coefficients of 1, s, n, n*s and s*s.

    >>> coefficients(3 * TOKENS + 7)
    (7, 0, 3, 0, 0)
    """
    return (
        size & _MASK,
        size >> _BITS & _MASK,
        size >> 2 * _BITS & _MASK,
        size >> 3 * _BITS & _MASK,
        size >> 4 * _BITS,
    )


def share(size: int, parts: int) -> int:
    """One of `parts` equal shares, each coefficient rounded up.

    >>> coefficients(share(10 * TOKENS + 3, 4))
    (1, 0, 3, 0, 0)
    """
    if parts == 1 or not size:
        return size
    units = (ONE, SEQUENCE, TOKENS, PAIRS, SQUARE)
    return sum(-(-part // parts) * unit for part, unit in zip(coefficients(size), units, strict=True))


def value(parts: Coefficients, batch: int, length: int) -> int:
    """The size with these coefficients at `batch` sequences of `length` tokens.

    >>> value(coefficients(2 * TOKENS + PAIRS), 3, 10)
    360
    """
    one, sequence, tokens, pairs, square = parts
    return one + length * (sequence + batch * tokens + length * (batch * pairs + square))


def dominates(larger: Coefficients, smaller: Coefficients) -> bool:
    """Whether no batch and length make `smaller` the larger one."""
    a, b, c, d, e = smaller
    p, q, r, s, t = larger
    return a <= p and b <= q and c <= r and d <= s and e <= t
