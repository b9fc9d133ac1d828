"""`inspect`: what a configuration makes, or what is known of a model."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..units import human
from .options import json_of
from .output import emit, table, text, warnings
from .session import Answer, Session, asks

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command()
@click.argument("config_or_id")
@click.option("--tensors", is_flag=True, help="Every tensor: its name in the checkpoint, shape, data type.")
@click.option("--limit", type=int, help="Most tensors listed.")
@click.option("--offset", type=int, help="Tensors skipped.")
@asks
def inspect(
    session: Session, config_or_id: str, tensors: bool, limit: int | None, offset: int | None
) -> None:
    query = {"tensors": True if tensors else None, "limit": limit, "offset": offset}
    if is_config(config_or_id):
        body = {"config": json_of(config_or_id, "config")}
        answer = session.source.post("/api/models/inspect", body, query)
    else:
        answer = session.source.get(f"/api/models/{config_or_id}", query)
    emit(session, answer, _tables, _rows)


def is_config(word: str) -> bool:
    """Whether a word is a configuration (JSON, a file, a folder with one, stdin) and not a model's name."""
    if word == "-" or word.lstrip().startswith("{") or word.endswith(".json"):
        return True
    path = Path(word)
    return path.is_file() or (path / "config.json").is_file()


def _tables(session: Session, answer: Answer) -> Iterator["RenderableType"]:
    counts = answer["parameters"]
    known = [
        ("model_type", answer["model_type"]),
        ("parameters", text(counts["total"])),
        ("active", text(counts["active"])),
        ("embedding", text(counts["embedding"])),
        *((f"  {name}", text(count)) for name, count in counts["by_component"].items()),
        ("cache_bytes_per_token", text(answer["cache_bytes_per_token"])),
        ("checkpoint", human(answer["checkpoint_bytes"]) if answer["checkpoint_bytes"] else ""),
        ("context_length", text(answer["context_length"])),
        ("license", answer["license"] or ""),
    ]
    name = f"{answer['name']} · {answer['repo_id']}" if answer["repo_id"] else answer["name"]
    yield table(name, [session.say("field"), session.say("value")], known)
    if "tensors" in answer:
        rows = [_tensor(each) for each in answer["tensors"]]
        yield table(session.say("tensors", total=answer["tensors_total"]), ["", "", ""], rows, left=1)
    else:
        yield _layers(session, answer)
    yield from warnings(answer)


def _layers(session: Session, answer: Answer) -> "RenderableType":
    plain = [
        {name: value for name, value in each.items() if isinstance(value, str | int | float)}
        for each in answer["layers"]
    ]
    names = list(dict.fromkeys(name for row in plain for name in row))
    return table(session.say("layers"), names, [[text(row.get(name)) for name in names] for row in plain])


def _tensor(each: Mapping[str, Any]) -> tuple[str, str, str]:
    return each["name"], " × ".join(map(str, each["shape"])), each.get("dtype") or ""


def _rows(answer: Answer) -> Iterator[Mapping[str, Any]]:
    if "tensors" in answer:
        yield from ({**each, "shape": "x".join(map(str, each["shape"]))} for each in answer["tensors"])
    else:
        yield from answer["layers"]
