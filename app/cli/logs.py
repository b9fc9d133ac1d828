"""`validate-log` and `accuracy`: how far off we are, on a log of one's own and on published measurements."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from ..api.schemas.validation import LogSchema
from .options import body_of, from_schema, text_of
from .output import emit, table, text, warnings
from .session import Answer, Session, asks

if TYPE_CHECKING:
    from rich.console import RenderableType

_ERRORS: Final = ("median", "p90", "worst", "bias", "coverage")


@click.command()
@click.argument("file")
@from_schema(LogSchema(), without=("log",))
@asks
def validate_log(session: Session, file: str, **given: Any) -> None:
    body = {"log": text_of(file, "FILE"), **body_of(given)}
    answer = session.source.post("/api/validate/log", body)
    emit(session, answer, _log, lambda found: found["terms"])


@click.command()
@asks
def accuracy(session: Session) -> None:
    answer = session.source.get("/api/accuracy")
    emit(session, answer, _accuracy, lambda found: found["rows"])


def _log(session: Session, answer: Answer) -> Iterator["RenderableType"]:
    rows = [
        (each["term"], text(each["measured"]), text(each["predicted"]), _percent(each["error"]))
        for each in answer["terms"]
    ]
    columns = [session.say(word) for word in ("part", "measured", "predicted", "error")]
    yield table(f"{answer['model']} · {answer['backend']}", columns, rows)
    yield from warnings(answer)


def _accuracy(session: Session, answer: Answer) -> Iterator["RenderableType"]:
    for part in (answer, answer.get("speed") or {}):
        for group in ("in_sample", "left_out"):
            rows = [_errors(row) for row in part.get(group) or ()]
            if rows:
                yield table(session.say(group), ["", session.say("rows"), *_ERRORS], rows)


def _errors(row: Mapping[str, Any]) -> tuple[Any, ...]:
    name = " · ".join(each for each in row["key"] if each)
    return (name, row["rows"], *(_percent(row.get(error)) for error in _ERRORS))


def _percent(error: float | None) -> str:
    return "" if error is None else f"{error:.1%}"
