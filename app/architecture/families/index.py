"""Which file writes which name down, so that a question about one model reads the files of that one only.

`index.json` is written by `scripts/index_families.py` and a test holds it against the files. A file that
is new and not in it yet is read at once, so that a lineage works as soon as its file lies in the folder.
"""

import json
from collections.abc import Iterator, Mapping, MutableMapping
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Final, TypeVar

V = TypeVar("V")
FILE: Final = Path(__file__).with_name("index.json")


@cache
def index() -> Mapping[str, Mapping[str, list[str]]]:
    """File → table → the names that the file signs up there."""
    written: dict[str, dict[str, list[str]]] = json.loads(FILE.read_text(encoding="utf-8"))
    return written


def read(file: str) -> None:
    """Have a file sign up its names."""
    import_module(f"{__package__}.{file}")


def read_new() -> None:
    """Read the files that the index does not know."""
    for file in sorted({found.name for found in iter_modules([str(FILE.parent)])} - index().keys()):
        read(file)


def read_all() -> None:
    """Read every file; a server does so before it forks."""
    for file in index():
        read(file)
    read_new()


class Table(MutableMapping[str, V]):
    """Names and what is signed up under each; a name's file is read when the name is first asked for."""

    def __init__(self, name: str) -> None:
        self.name: Final = name
        self._known: dict[str, V] = {}
        self._files = {name: file for file, tables in index().items() for name in tables.get(self.name, ())}

    def __getitem__(self, name: str) -> V:
        if name not in self._known and name in self._files:
            read(self._files[name])
        return self._known[name]

    def __setitem__(self, name: str, value: V) -> None:
        self._known[name] = value

    def __delitem__(self, name: str) -> None:
        del self._known[name]
        self._files.pop(name, None)

    def __contains__(self, name: object) -> bool:
        return name in self._known or name in self._files

    def __iter__(self) -> Iterator[str]:
        yield from self._known
        yield from (name for name in self._files if name not in self._known)

    def __len__(self) -> int:
        return len(self._known.keys() | self._files.keys())
