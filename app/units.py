"""Sizes in bytes and the words for them.

Inside the project every size is an exact integer of bytes. GB (10^9 bytes) and GiB (2^30 bytes)
appear only in the strings that people read, made here and nowhere else.
"""

from typing import Final, Literal

KB: Final = 10**3
MB: Final = 10**6
GB: Final = 10**9
KIB: Final = 2**10
MIB: Final = 2**20
GIB: Final = 2**30

Unit = Literal["GB", "GiB"]
_DIVISORS: Final[dict[str, int]] = {"GB": GB, "GiB": GIB}


def human(size: int, unit: Unit = "GB") -> str:
    """A size [bytes] for people, always with two decimals of one unit.

    >>> human(14_000_000_000)
    '14.00 GB'
    >>> human(2**30, "GiB")
    '1.00 GiB'
    """
    return f"{size / _DIVISORS[unit]:.2f} {unit}"


def ceil_div(amount: int, step: int) -> int:
    """The least whole number of steps that holds the amount.

    >>> ceil_div(7, 2), ceil_div(8, 2)
    (4, 4)
    """
    return -(-amount // step)


def round_up(amount: int, step: int) -> int:
    """The least multiple of step that is not below the amount.

    >>> round_up(49155, 64)
    49216
    """
    return ceil_div(amount, step) * step
