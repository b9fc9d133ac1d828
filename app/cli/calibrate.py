"""`calibrate`: measurements of one's own in a file, corrections and residuals out."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from ..errors import InvalidRequest
from ..messages import Message
from .options import json_of
from .output import emit, table, text, warnings
from .session import Answer, Session, asks

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command()
@click.argument("file")
@click.option("--name", help="Keep the corrections under this name, for `--calibration` of later commands.")
@asks
def calibrate(session: Session, file: str, name: str | None) -> None:
    body = json_of(file if file == "-" else f"@{file}", "FILE")
    if not isinstance(body, dict):
        raise InvalidRequest(Message("body_not_object"))
    answer = session.source.post("/api/calibrate", body if name is None else {**body, "name": name})
    emit(session, answer, _tables, lambda found: found["residuals"])


def _tables(session: Session, answer: Answer) -> Iterator["RenderableType"]:
    from rich.padding import Padding

    columns = [session.say(word) for word in ("correction", "factor", "band")]
    yield table(answer["name"] or "", columns, map(_mechanism, answer["mechanisms"]))
    for each in answer["mechanisms"]:
        if each["missing"]:
            yield Padding(each["missing"], (0, 1))
    words = ("figure", "measured", "before", "after", "left_out_each")
    rows = [_residual(each) for each in answer["residuals"]]
    yield table(session.say("residuals"), ["", *(session.say(word) for word in words)], rows, left=2)
    yield from warnings(answer)


def _mechanism(each: Mapping[str, Any]) -> tuple[Any, ...]:
    band = f"{text(each['low'])} – {text(each['high'])}" if each["corrected"] else ""
    return each["name"], f"× {text(each['factor'])}", band


def _residual(each: Mapping[str, Any]) -> tuple[Any, ...]:
    errors = (each[f"error_{name}"] for name in ("before", "after", "left_out"))
    shown = ("" if error is None else f"{error:+.1%}" for error in errors)
    return each["measurement"], each["figure"], each["measured"], *shown
