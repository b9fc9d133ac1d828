"""The largest number for which something still fits, in a handful of steps."""

from collections.abc import Callable
from typing import Final

from ...lanes import choose, down, is_array, least, most, some

MOST: Final = 2**27
SECANTS: Final = 6  # needs are nearly linear: this many steps land beside the answer


def largest(slack: Callable[[int], float], guess: int) -> int:
    """The largest number up to 2^27 with slack left, 0 where not even 1 has; `slack` falls as it grows.

    >>> largest(lambda n: 170 - n * n, 9)
    13
    """
    if is_array(guess):
        return _largest_of_each(slack, guess)
    at, room = min(max(guess, 1), MOST), 0.0
    if slack(at) >= 0 and (at == MOST or slack(at + 1) < 0):
        return at
    first = slack(1)
    if first < 0:
        return 0
    low, high = 1, MOST + 1
    for _ in range(SECANTS):
        room = slack(at)
        low, high = (max(low, at), high) if room >= 0 else (low, min(high, at))
        if room == first:
            break
        step = (first - room) / (at - 1) if at > 1 else 0
        at = min(max(int(1 + first / step), low + 1), high - 1) if step > 0 else min(2 * at, MOST)
        if high - low <= 1:
            return low
    return _between(slack, low, high)


def _largest_of_each(slack: Callable[[int], float], guess: int) -> int:
    """The same for an array of questions: one secant, which lands where needs are linear."""
    first, beyond = slack(1), most(guess, 2)
    step = (first - slack(beyond)) / (beyond - 1)
    at = least(most(down(1 + first / choose(step > 0, step, first + 1)), 1), MOST)
    if not some((first >= 0) & ((slack(at) < 0) | ((slack(at + 1) >= 0) & (at < MOST)))):
        return choose(first >= 0, at, 0)
    return _doubled(slack)


def _doubled(slack: Callable[[int], float]) -> int:
    """By doubling, then halves: no try is more than twice the answer."""
    low, high = 0, 1
    while some(grows := (slack(high) >= 0) & (high < MOST)):
        low, high = choose(grows, high, low), choose(grows, least(2 * high, MOST), high)
    reached = slack(high) >= 0
    low, high = choose(reached, high, low), choose(reached, high + 1, high)
    while some(high - low > 1):
        middle = most((low + high) // 2, 1)
        holds = slack(middle) >= 0
        low, high = choose(holds, most(low, middle), low), choose(holds, high, least(high, middle))
    return low


def _between(slack: Callable[[int], float], low: int, high: int) -> int:
    """Close the bracket: doubling steps from below, then halves."""
    step = 1
    while low + step < high and slack(low + step) >= 0:
        low, step = low + step, step * 2
    high = min(high, low + step)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if slack(middle) >= 0 else (low, middle)
    return low
