"""Options of commands, made from the schemas that check requests, so that the two cannot drift apart.

An option only turns text into the JSON value that it stands for; what a value may be, the schema says.
"""

import json
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click
import marshmallow as ma
from click.shell_completion import CompletionItem

from ..api.schemas import fields as f
from ..api.schemas.base import StrictSchema
from ..errors import invalid

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "model_name": ("--model", "-m", "--model-name"),
    "gpu": ("--accelerator", "-g", "--gpu"),
    "batch_size": ("--batch-size", "-b"),
}
_PLAIN: Final = "targets."  # whose fields need no prefix
_WHOLE: Final = re.compile(r"-?\d{1,30}")
_SHOWN: Final = 10  # values named in an option's help

Command = Callable[..., Any]


class FieldType(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """Text on the command line to the JSON value of a field."""

    def __init__(self, path: str, field: f.Strict) -> None:
        self.path = path
        self.field = field
        self.name = type(field).__name__.lower()

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return read(self.field, value, self.path) if isinstance(value, str) else value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(each) for each in _known(self.path, self.field) if _begins(each, incomplete)]


def read(field: f.Strict, text: str, path: str) -> Any:
    """The JSON value that a text stands for in a field; text that is none stays, for the schema to refuse."""
    if isinstance(field, f.Integer | f.Number):
        return _number(text)
    if isinstance(field, f.Switch | f.Boolean):
        return {"true": True, "false": False}.get(text.lower(), text)
    if isinstance(field, f.Texts):
        return text if text == field.word else [part.strip() for part in text.split(",") if part.strip()]
    if isinstance(field, ma.fields.Dict | f.Nested):
        return json_of(text, path)
    if isinstance(field, f.TextOrObject) and text.startswith(("{", "@")):
        return json_of(text, path)
    return text


def json_of(text: str, path: str) -> Any:
    """JSON given as itself, in a file, or on stdin (`-`); raises `InvalidRequest`."""
    if not text.lstrip().startswith(("{", "[")):
        text = text_of(text.removeprefix("@"), path)
    try:
        return json.loads(text)
    except ValueError as error:
        raise invalid(path, "cli_not_json", reason=str(error)[:200]) from error


def text_of(name: str, path: str) -> str:
    """The text of a file, of the `config.json` in a folder, or of stdin (`-`); raises `InvalidRequest`."""
    if name == "-":
        return sys.stdin.read()
    file = Path(name)
    try:
        return (file / "config.json" if file.is_dir() else file).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise invalid(path, "cli_no_file", name=name, reason=error.strerror or str(error)) from error


def from_schema(*schemas: StrictSchema, without: Collection[str] = ()) -> Callable[[Command], Command]:
    """A decorator that gives a command every field of the schemas as an option, each once."""
    fields = {path: field for schema in reversed(schemas) for path, field in _paths(schema)}
    options = [_of(path, field) for path, field in fields.items() if path not in without]

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def body_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The request of the options that were given; `lora__rank` goes into the object `lora`."""
    body: dict[str, Any] = {}
    for name, value in given.items():
        outer, _, inner = name.partition("__")
        if value is None or value == ():
            continue
        if inner:
            body.setdefault(outer, {})[inner] = value
        else:
            body[name] = value
    return body


def fields_by_name(schema: StrictSchema) -> dict[str, f.Strict]:
    """The fields of a schema by dotted path."""
    return dict(_paths(schema))


def _paths(schema: StrictSchema) -> Iterator[tuple[str, Any]]:
    for name, field in schema.load_fields.items():
        if isinstance(field, f.Nested):
            yield from ((f"{name}.{inner}", each) for inner, each in field.schema.load_fields.items())
        else:
            yield name, field


def _of(path: str, field: f.Strict) -> Callable[[Command], Command]:
    word = path.removeprefix(_PLAIN).replace(".", "-").replace("_", "-")
    names = _NAMES.get(path, (f"--{word}",))
    target = path.replace(".", "__")
    if isinstance(field, f.Boolean):
        return click.option(f"--{word}/--no-{word}", target, default=None, help=_help(field))
    kind = FieldType(path, field)
    return click.option(*names, target, type=kind, metavar=_metavar(path, field), help=_help(field))


def _metavar(path: str, field: f.Strict) -> str:
    if isinstance(field, ma.fields.Dict):
        return "FILE"
    return {"Integer": "N", "Number": "X", "Texts": "A,B"}.get(type(field).__name__, "NAME")


def _help(field: f.Strict) -> str:
    text = str(field.metadata.get("description", ""))
    names = field.of.names if isinstance(field, f.Choice) else ()
    if names:
        more = ", …" if len(names) > _SHOWN else ""
        text += f" One of {', '.join(names[:_SHOWN])}{more}."
    default = field.metadata.get("default")
    return (
        text
        if default is None
        else f"{text} [default: {str(default).lower() if isinstance(default, bool) else default}]"
    )


def _number(text: str) -> Any:
    if _WHOLE.fullmatch(text):
        return int(text)
    try:
        number = float(text)
    except ValueError:
        return text
    return number if number - number == 0 else text


def _known(path: str, field: f.Strict) -> tuple[str, ...]:
    """The values that completion offers."""
    if path == "model_name":
        from ..registry.models import models

        return tuple(entry.name for entry in models())
    if path == "gpu":
        from ..registry.gpus import gpus

        return tuple(each.name for each in gpus().list())
    return field.of.names if isinstance(field, f.Choice) else ()


def _begins(name: str, start: str) -> bool:
    return name.lower().startswith(start.lower())
