"""A store of the test's own: in SQLite in the quick tests, in PostgreSQL too where servers are at hand."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.store import Store
from app.store.address import FILE_NAME

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)]


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite store with its tables; a copy costs less than the migrations."""
    store = Store(None, tmp_path_factory.mktemp("migrated"))
    store.database.prepare()
    assert store.address.file is not None
    return store.address.file


@pytest.fixture(params=BOTH)
def url(request: pytest.FixtureRequest) -> str | None:
    """What DATABASE_URL would be: nothing, or a PostgreSQL of the test's own; no tables yet."""
    return None if request.param == "sqlite" else str(request.getfixturevalue("database_url"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The data folder."""
    return tmp_path / "data"


@pytest.fixture
def store(url: str | None, folder: Path, migrated: Path) -> Iterator[Store]:
    """A store with its tables."""
    if url is None:
        folder.mkdir()
        shutil.copy(migrated, folder / FILE_NAME)
    made = Store(url, folder)
    yield made
    made.database.close()
