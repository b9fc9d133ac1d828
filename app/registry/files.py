"""Reading the registry's JSON files: a broken one is named with its line and left out, the rest is served."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from msgspec import Struct

PACKAGE = Path(__file__).parents[1]
Kinds = Mapping[str, type | tuple[type, ...]]


class BrokenFile(Struct, frozen=True):
    """A file of the registry that was left out: where, and what is wrong with it."""

    path: Path
    line: int | None
    what: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else str(self.path)
        return f"{place}: {self.what}"


class BrokenFileError(Exception):
    """Carries a `BrokenFile` from where it was found to the registry that lists it."""

    def __init__(self, broken: BrokenFile) -> None:
        self.broken = broken
        super().__init__(str(broken))


@cache
def configs_folder() -> Path:
    """Where the registry's files lie: inside the installed package, or beside it in a checkout."""
    inside = PACKAGE / "configs"
    return inside if inside.is_dir() else PACKAGE.parent / "configs"


def read_object(path: Path) -> tuple[dict[str, Any], str]:
    """A JSON object and the text it came from; raises `BrokenFileError` for anything else."""
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise BrokenFileError(BrokenFile(path, error.lineno, error.msg)) from error
    except (OSError, ValueError, RecursionError) as error:
        raise BrokenFileError(BrokenFile(path, None, str(error))) from error
    if not isinstance(content, dict):
        raise BrokenFileError(BrokenFile(path, 1, "not a JSON object"))
    return content, text


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def check_fields(path: Path, text: str, content: Mapping[str, Any], kinds: Kinds) -> None:
    """Every field is known and of its kind, no number below zero; raises `BrokenFileError` with the line."""
    for name, value in content.items():
        if name not in kinds:
            raise wrong_field(path, text, name, "unknown field")
        if not isinstance(value, kinds[name]) or (isinstance(value, bool) and kinds[name] is not bool):
            raise wrong_field(path, text, name, f"unexpected {type(value).__name__}")
        if isinstance(value, int | float) and value < 0:
            raise wrong_field(path, text, name, "below zero")


def wrong_field(path: Path, text: str, name: str, what: str) -> BrokenFileError:
    """The error for one field of a file, with the line on which the field stands."""
    lines = enumerate(text.splitlines(), start=1)
    line = next((number for number, each in lines if each.lstrip().startswith(f'"{name}"')), None)
    return BrokenFileError(BrokenFile(path, line, f"{name}: {what}"))
