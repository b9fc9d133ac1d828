"""Where the store is."""

from pathlib import Path

import pytest

from app.store.address import read_address

DATA = Path("data")


def test_a_file_of_the_data_folder_by_default() -> None:
    for nothing in (None, ""):
        assert read_address(nothing, DATA).file == DATA / "store.sqlite3"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_means_its_third_driver(scheme: str) -> None:
    found = read_address(f"{scheme}://me:s3cret@db:5432/estimates?sslmode=require", DATA)
    assert found.url == "postgresql+psycopg://me:s3cret@db:5432/estimates?sslmode=require"
    assert found.file is None and not found.untouched and not found.impossible


def test_a_sqlite_file_elsewhere() -> None:
    assert read_address("sqlite:////var/lib/store.db", DATA).file == Path("/var/lib/store.db")
    assert read_address("sqlite:///store.db", DATA).file == Path("store.db")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me:s3cret@db/x",
        "sqlite://",
        "sqlite:///",
        "sqlite:///a?s3cret",
        "postgresql:s3cret",
        "s3cret",
    ],
)
def test_anything_else_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="DATABASE_URL") as error:
        read_address(url, DATA)
    assert "s3cret" not in str(error.value)


def test_nothing_is_made_by_looking(tmp_path: Path) -> None:
    found = read_address(None, tmp_path / "a" / "b")
    assert found.untouched and not found.impossible
    (tmp_path / "a").write_text("in the way")
    assert found.impossible
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
