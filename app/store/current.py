"""Whether a SQLite store is ready to use, seen without a database library: that would cost the start."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

HEAD: Final = "0001"  # the newest migration; a test holds it to the files


def is_current(file: Path) -> bool:
    """Whether the tables are those of this version; False also for a file that cannot be read."""
    try:
        uri = f"{file.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=1)) as connection:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchall()
            (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
    except sqlite3.Error:
        return False
    return found == [(HEAD,)] and journal == "wal"
