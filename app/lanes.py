"""Arithmetic that reads alike on one number and on an array of them, element by element.

The formulas of memory and speed are written once. A sweep asks them with arrays of batch sizes and lengths
in the place of numbers: `+`, `*`, `//` and comparisons do there what they always do, and these few
functions stand for `min`, `max`, `ceil`, `floor`, `round` and `bool`, which would want a single number. On
numbers they are as quick as those; NumPy is imported only where an array has come. Arrays hold two elements
or more (an array of one would pass for a number), and integers in them stay below 2^53.
"""

from bisect import bisect_right
from collections.abc import Sequence
from math import ceil, floor
from typing import Any, TypeVar

N = TypeVar("N", int, float)


def numpy() -> Any:
    """The library, imported when first needed."""
    import numpy as np

    return np


def is_array(x: object) -> bool:
    """Whether it is an array of numbers.

    >>> is_array(3)
    False
    """
    return not isinstance(x, int | float)


def least(a: N, b: N) -> N:
    """The smaller of two.

    >>> least(3, 2)
    2
    """
    try:
        return b if b < a else a
    except ValueError:
        found: N = numpy().minimum(a, b)
        return found


def most(a: N, b: N) -> N:
    """The larger of two.

    >>> most(3.0, 2.5)
    3.0
    """
    try:
        return b if b > a else a
    except ValueError:
        found: N = numpy().maximum(a, b)
        return found


def up(x: float) -> int:
    """The next integer above.

    >>> up(2.1)
    3
    """
    try:
        return ceil(x)
    except TypeError:
        found: int = numpy().ceil(x).astype("int64")
        return found


def down(x: float) -> int:
    """The next integer below.

    >>> down(2.9)
    2
    """
    try:
        return floor(x)
    except TypeError:
        found: int = numpy().floor(x).astype("int64")
        return found


def whole(x: float) -> int:
    """The nearest integer, halves to the even one.

    >>> whole(2.5), whole(3.5)
    (2, 4)
    """
    try:
        return round(x)
    except TypeError:
        found: int = numpy().rint(x).astype("int64")
        return found


def some(x: float) -> bool:
    """Whether there is any.

    >>> some(0.0), some(2)
    (False, True)
    """
    try:
        return bool(x)
    except ValueError:
        return bool(numpy().any(x))


def up_to(table: Sequence[int], x: int) -> int:
    """How many entries of a rising table are no larger than `x`.

    >>> up_to((1, 2, 4, 8), 5)
    3
    """
    try:
        return bisect_right(table, x)
    except ValueError:
        found: int = numpy().searchsorted(table, x, side="right")
        return found


def entry(table: Sequence[int], place: int) -> int:
    """The entry of a table at a place.

    >>> entry((1, 2, 4, 8), 2)
    4
    """
    try:
        return table[place]
    except TypeError:
        found: int = numpy().take(table, place)
        return found


def choose(condition: bool, a: N, b: N) -> N:
    """`a` where the condition holds, else `b`.

    >>> choose(2 > 1, 10, 20)
    10
    """
    try:
        return a if condition else b
    except ValueError:
        found: N = numpy().where(condition, a, b)
        return found
