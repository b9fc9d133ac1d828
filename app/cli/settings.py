"""`settings`: every setting of the service, with the value that it has here."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from .output import emit, table
from .session import Answer, Session, asks

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command()
@asks
def settings(session: Session) -> None:
    from ..settings import read_settings, shown_settings

    answer = {"settings": shown_settings(read_settings())}
    emit(session, answer, _settings, lambda found: found["settings"])


def _settings(session: Session, answer: Answer) -> Iterator["RenderableType"]:
    rows = [
        (each["variable"], _text(each["value"]), each["default"], each["help"]) for each in answer["settings"]
    ]
    columns = [session.say(word) for word in ("variable", "value", "default", "what_it_does")]
    yield table("", columns, rows, left=len(columns))


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "" if value is None else str(value)
