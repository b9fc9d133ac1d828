"""Where the store is: a file of the data folder, or what DATABASE_URL says. Nothing is opened here."""

from pathlib import Path
from typing import Final

from msgspec import Struct

FILE_NAME: Final = "store.sqlite3"
_SQLITE: Final = "sqlite:///"
# Spellings in use for PostgreSQL; the driver is psycopg 3, whatever a library's default may be.
_POSTGRESQL: Final = ("postgresql+psycopg", "postgresql", "postgres")


class Address(Struct, frozen=True):
    """A database: its URL for SQLAlchemy, and the file of one that is SQLite's."""

    url: str
    file: Path | None

    @property
    def untouched(self) -> bool:
        """Whether nothing was ever kept here."""
        return self.file is not None and not self.file.exists()

    @property
    def impossible(self) -> bool:
        """Whether the file cannot come to be: something that is no folder is in its way."""
        if self.file is None:
            return False
        return not next(parent for parent in self.file.absolute().parents if parent.exists()).is_dir()


def sqlite_at(file: Path) -> Address:
    """A SQLite database in a file."""
    return Address(f"{_SQLITE}{file}", file)


def read_address(database_url: str | None, data_folder: Path) -> Address:
    """The address that the settings mean; raises ValueError for another kind of database.

    >>> read_address(None, Path("data")).url
    'sqlite:///data/store.sqlite3'
    >>> read_address("postgres://db/estimates", Path("data")).url
    'postgresql+psycopg://db/estimates'
    """
    if not database_url:
        return sqlite_at(data_folder / FILE_NAME)
    scheme, separator, rest = database_url.partition("://")
    if separator and scheme in _POSTGRESQL:
        return Address(f"postgresql+psycopg://{rest}", None)
    if database_url.startswith(_SQLITE) and len(database_url) > len(_SQLITE) and "?" not in database_url:
        return sqlite_at(Path(database_url.removeprefix(_SQLITE)))
    raise ValueError("DATABASE_URL: neither postgresql://… nor sqlite:///path")
