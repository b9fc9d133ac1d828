"""What a database's failure means to people; nothing of an address or a statement gets out."""

import errno
from collections.abc import Mapping
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ..messages import Message

FULL, BUSY, READ_ONLY = "store_full", "store_busy", "store_read_only"
BROKEN, UNREACHABLE = "store_broken", "store_unreachable"

# PostgreSQL's own codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
_SQLSTATES: Final[Mapping[str, str]] = {
    "53100": FULL,  # disk_full
    "53200": BUSY,  # out_of_memory
    "53300": BUSY,  # too_many_connections
    "40001": BUSY,  # serialization_failure
    "40P01": BUSY,  # deadlock_detected
    "55P03": BUSY,  # lock_not_available
    "57014": BUSY,  # query_canceled, by the statement timeout
    "25006": READ_ONLY,  # read_only_sql_transaction
    "42501": READ_ONLY,  # insufficient_privilege
    "42P01": BROKEN,  # undefined_table
    "42703": BROKEN,  # undefined_column
    "XX001": BROKEN,  # data_corrupted
    "XX002": BROKEN,  # index_corrupted
}
# What SQLite says, https://www.sqlite.org/rescode.html; its driver gives names only since Python 3.11.
_SQLITE: Final[Mapping[str, str]] = {
    "SQLITE_FULL": FULL,
    "SQLITE_BUSY": BUSY,
    "SQLITE_LOCKED": BUSY,
    "SQLITE_READONLY": READ_ONLY,
    "SQLITE_CANTOPEN": READ_ONLY,
    "SQLITE_PERM": READ_ONLY,
    "SQLITE_CORRUPT": BROKEN,
    "SQLITE_NOTADB": BROKEN,
    "SQLITE_ERROR": BROKEN,
}
_ERRNO: Final[Mapping[int | None, str]] = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EACCES: READ_ONLY,
    errno.EROFS: READ_ONLY,
    errno.EPERM: READ_ONLY,
    errno.ENOTDIR: READ_ONLY,
    errno.EEXIST: READ_ONLY,
}


def describe(error: SQLAlchemyError | OSError) -> Message:
    """The sentence for a failure.

    >>> describe(OSError(28, "No space left on device")).code
    'store_full'
    """
    if isinstance(error, PoolTimeout):
        return Message(BUSY)
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, OSError):
        return Message(_ERRNO.get(cause.errno, UNREACHABLE))
    name = "_".join(str(getattr(cause, "sqlite_errorname", "")).split("_")[:2])
    return Message(_SQLSTATES.get(getattr(cause, "sqlstate", None) or "") or _SQLITE.get(name, UNREACHABLE))
