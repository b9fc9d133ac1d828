"""`list-models` and `list-accelerators`."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from ..api.schemas.others import GpusQuery, ModelsQuery
from .options import body_of, from_schema
from .output import emit, table, text
from .session import Answer, Session, asks

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command()
@from_schema(ModelsQuery())
@asks
def list_models(session: Session, **given: Any) -> None:
    answer = session.source.get("/api/models", body_of(given))
    emit(session, answer, _models, lambda found: found["models"])


@click.command()
@from_schema(GpusQuery())
@asks
def list_accelerators(session: Session, **given: Any) -> None:
    answer = session.source.get("/api/gpus", body_of(given))
    emit(session, answer, _accelerators, _accelerator_rows)


def _models(session: Session, answer: Answer) -> Iterator["RenderableType"]:
    rows = [
        (each["name"], each["model_type"], _billions(each["parameters"]), each["released"])
        for each in answer["models"]
    ]
    columns = [session.say(word) for word in ("model", "type", "parameter_count", "released")]
    title = session.say("shown_of", shown=len(rows), total=answer["total"])
    yield table(title, columns, rows, left=2)


def _accelerators(session: Session, answer: Answer) -> Iterator["RenderableType"]:
    rows = [
        (
            each["name"],
            each["device_type"],
            text(each["memory_gb"]),
            text(each["memory_bandwidth_gb_s"]),
            text(_sixteen_bit(each)),
        )
        for each in answer["gpus"]
    ]
    columns = [session.say("accelerator"), session.say("type"), "GB", "GB/s", "TFLOPS (16 bit)"]
    yield table(session.say("shown_of", shown=len(rows), total=answer["total"]), columns, rows, left=2)


def _accelerator_rows(answer: Answer) -> Iterator[Mapping[str, Any]]:
    for each in answer["gpus"]:
        plain = {name: value for name, value in each.items() if not isinstance(value, dict | list)}
        yield {**plain, **{f"tflops_{name}": value for name, value in each["tflops"].items()}}


def _sixteen_bit(gpu: Mapping[str, Any]) -> Any:
    return gpu["tflops"].get("bf16", gpu["tflops"].get("fp16"))


def _billions(count: int | None) -> str:
    return "" if count is None else f"{count / 1e9:.2f} B"
