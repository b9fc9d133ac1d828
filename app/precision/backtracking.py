"""How many ways a backtracking matcher may have to try: what makes an expression of a stranger dangerous.

An upper bound from the expression alone. A choice counts its branches, a repeat the numbers of times that it
may be taken, and things one after another multiply; matching takes time in proportion.
"""

import re
from functools import lru_cache
from typing import Any, Final

LONGEST_NAME: Final = 128  # [characters] that one repeat may take
_DIGITS: Final = 6  # that one number in a name has
_TOO_MANY: Final = 10**9

_parser: Any = re._parser  # type: ignore[attr-defined]  # the tree that `re.compile` itself makes
_sre: Any = re._constants  # type: ignore[attr-defined]
_REPEATS: Final = (_sre.MAX_REPEAT, _sre.MIN_REPEAT, _sre.POSSESSIVE_REPEAT)


@lru_cache(maxsize=2048)
def ways(pattern: str) -> int:
    """The ways in which one place of a text may be tried; raises `re.error` for what is no expression.

    >>> ways("(up|down)_proj"), ways(r"layers.[0-9]+.") < 10, ways("(a+)+") > 10**6
    (2, True, True)
    """
    return _sequence(_parser.parse(pattern))


def _sequence(items: Any) -> int:
    product = 1
    for kind, value in items:
        product *= _item(kind, value)
        if product > _TOO_MANY:
            return _TOO_MANY
    return product


def _item(kind: Any, value: Any) -> int:
    if kind is _sre.BRANCH:
        return sum(_sequence(branch) for branch in value[1])
    if kind is _sre.SUBPATTERN:
        return _sequence(value[-1])
    if kind in (_sre.ASSERT, _sre.ASSERT_NOT):
        return _sequence(value[1])
    if kind is _sre.ATOMIC_GROUP:
        return _sequence(value)
    if kind is _sre.GROUPREF_EXISTS:
        return sum(_sequence(branch) for branch in value[1:] if branch is not None)
    return _repeated(*value) if kind in _REPEATS else 1


def _repeated(least: int, most: int, body: Any) -> int:
    longest = _DIGITS if _is_digit(body) else LONGEST_NAME
    each, most = _sequence(body), min(most, longest)
    if each == 1:
        return max(1, most - least + 1)
    return sum(min(each**times, _TOO_MANY) for times in range(min(least, most), most + 1))


def _is_digit(body: Any) -> bool:
    """Whether a repeat takes digits only, of which a name has few together."""
    if len(body) != 1 or body[0][0] is not _sre.IN:
        return False
    return all(
        (kind is _sre.CATEGORY and value is _sre.CATEGORY_DIGIT)
        or (kind is _sre.RANGE and ord("0") <= value[0] <= value[1] <= ord("9"))
        for kind, value in body[0][1]
    )
