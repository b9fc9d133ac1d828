"""`recommend`: what to run a model on."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from .options import json_of
from .output import emit, table, text, warnings
from .session import Answer, Session, asks

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command()
@click.option("--model", "-m", "model_name", help="A registry name, a hub id or one of their aliases.")
@click.option("--config", metavar="FILE", help="Instead: a config.json.")
@click.option("--task", type=click.Choice(["inference", "training"]), default="inference")
@click.option("--request", metavar="JSON", help="Other fields of the request, as JSON or a file.")
@click.option("--targets", metavar="JSON", help='Targets, such as {"ttft_ms": 500}, as JSON or a file.')
@click.option("--gpus", metavar="A,B,C", help="Accelerators that may be used [all].")
@click.option("--max-gpus", type=int, help="Most of them.")
@asks
def recommend(
    session: Session,
    config: str | None,
    request: str | None,
    targets: str | None,
    gpus: str | None,
    **given: Any,
) -> None:
    body = dict(json_of(request, "request")) if request else {}
    body |= {name: value for name, value in given.items() if value is not None}
    if config:
        body["config"] = json_of(config, "config")
    if targets:
        body["targets"] = json_of(targets, "targets")
    if gpus:
        body["gpus"] = [each.strip() for each in gpus.split(",")]
    answer = session.source.post("/api/recommend", body)
    emit(session, answer, _tables, _rows)


def _tables(session: Session, answer: Answer) -> Iterator["RenderableType"]:
    rows = list(_rows(answer))
    names = list(dict.fromkeys(name for row in rows for name in row))
    yield table(session.say("options"), names, [[text(row.get(name)) for name in names] for row in rows])
    yield from warnings(answer)


def _rows(answer: Answer) -> Iterator[Mapping[str, Any]]:
    for each in answer["options"]:
        yield {name: value for name, value in each.items() if isinstance(value, str | int | float)}
