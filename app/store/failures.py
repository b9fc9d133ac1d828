"""What a database's failure means to people; nothing of an address or a statement gets out."""

import errno
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ..messages import Message

_FULL: Final = ("database or disk is full", "no space left on device", "disk quota exceeded", "disk full")
_BUSY: Final = ("database is locked", "database table is locked", "lock timeout", "statement timeout")
_READ_ONLY: Final = ("readonly database", "read-only", "permission denied", "unable to open database file")
_BROKEN: Final = ("malformed", "not a database", "no such table", "does not exist", "disk i/o error")


def describe(error: SQLAlchemyError | OSError) -> Message:
    """The sentence for a failure.

    >>> describe(OSError(28, "No space left on device")).code
    'store_full'
    """
    cause = getattr(error, "orig", None) or error
    said = str(cause).casefold()
    if getattr(cause, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or _mentions(said, _FULL):
        return Message("store_full")
    if isinstance(error, PoolTimeout) or _mentions(said, _BUSY):
        return Message("store_busy")
    if _mentions(said, _READ_ONLY):
        return Message("store_read_only")
    return Message("store_broken") if _mentions(said, _BROKEN) else Message("store_unreachable")


def _mentions(said: str, signs: tuple[str, ...]) -> bool:
    return any(sign in said for sign in signs)
