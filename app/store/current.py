"""A look into a SQLite store without a database library: importing one would cost the start dearly."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

HEAD: Final = "0001"  # the newest migration; a test holds it to the files


def look(file: Path) -> Mapping[str, int] | None:
    """The numbers of the table `changes`, where the tables are those of this version and ready to use.

    None where they are not, also for a file that cannot be read: whoever opens it properly will say why.
    """
    import sqlite3  # a command line that reads no store does not wait for it

    try:
        uri = f"{file.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=1, isolation_level=None)) as connection:
            (version,) = connection.execute("SELECT max(version_num) FROM alembic_version").fetchone()
            (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
            if version is None or version < HEAD or journal != "wal":
                return None
            return dict(connection.execute("SELECT topic, number FROM changes"))
    except sqlite3.Error:
        return None
