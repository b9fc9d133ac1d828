"""`inspect`: what a configuration makes, what a GGUF file holds, or what is known of a model."""

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
    if is_gguf(config_or_id):
        answer = _of_file(session, config_or_id, query)
    elif is_config(config_or_id):
        body = {"config": json_of(config_or_id, "config")}
        answer = session.source.post("/api/models/inspect", body, query)
    else:
        answer = session.source.get(f"/api/models/{config_or_id}", query)
    emit(session, answer, _tables, _rows)


def is_gguf(word: str) -> bool:
    """Whether a word is a GGUF file: such files are read here, whoever else is asked."""
    return word.endswith(".gguf")


def _of_file(session: Session, name: str, query: Mapping[str, Any]) -> Answer:
    from ..estimator.functions import local

    return local(session.language).inspect_file(Path(name), query)


def is_config(word: str) -> bool:
    """Whether a word is a configuration (JSON, a file, a folder with one, stdin) and not a model's name."""
    if word == "-" or word.lstrip().startswith("{") or word.endswith(".json"):
        return True
    path = Path(word)
    return path.is_file() or (path / "config.json").is_file()


def _tables(session: Session, answer: Answer) -> Iterator["RenderableType"]:
    names = [answer["name"], answer.get("repo_id")]
    title = " · ".join(name for name in names if name)
    yield table(title, [session.say("field"), session.say("value")], _known(answer))
    if "gguf" in answer:
        yield from _gguf(session, answer["gguf"])
    if "tensors" in answer:
        rows = [_tensor(each) for each in answer["tensors"]]
        heads = [""] * max(3, *map(len, rows))
        yield table(session.say("tensors", total=answer["tensors_total"]), heads, rows, left=1)
    elif "layers" in answer:
        yield _layers(session, answer)
    yield from warnings(answer)


def _known(answer: Answer) -> list[tuple[str, str]]:
    """What is known of the model itself; of a file without a configuration, little."""
    counts = answer.get("parameters")
    of_config = [
        ("model_type", answer["model_type"]),
        ("parameters", text(counts["total"])),
        ("active", text(counts["active"])),
        ("embedding", text(counts["embedding"])),
        *((f"  {name}", text(count)) for name, count in counts["by_component"].items()),
        ("cache_bytes_per_token", text(answer["cache_bytes_per_token"])),
    ] if counts else []  # fmt: skip
    return [
        *of_config,
        ("checkpoint", human(answer["checkpoint_bytes"]) if answer["checkpoint_bytes"] else ""),
        ("context_length", text(answer["context_length"])),
        ("license", answer.get("license") or ""),
    ]


def _gguf(session: Session, found: Mapping[str, Any]) -> Iterator["RenderableType"]:
    """A file's own facts, the bytes of each block type, its metadata."""
    heads = [session.say("field"), session.say("value")]
    facts = ("version", "architecture", "file_type", "tensors", "elements", "bytes", "file_bytes")
    yield table(" ".join(found["files"]), heads, [(name, text(found[name])) for name in facts])
    rows = [(kind, *map(text, of.values()), human(of["bytes"])) for kind, of in found["types"].items()]
    yield table(session.say("block_types"), ["", "tensors", "elements", "bytes", ""], rows)
    yield table(
        session.say("metadata"), heads, [(key, _shown(v)) for key, v in found["metadata"].items()], left=2
    )


def _shown(value: Any) -> str:
    """A value of the metadata in one line: of an array its length."""
    return f"[{value['length']}]" if isinstance(value, Mapping) else " ".join(text(value).split())


def _layers(session: Session, answer: Answer) -> "RenderableType":
    plain = [
        {name: value for name, value in each.items() if isinstance(value, str | int | float)}
        for each in answer["layers"]
    ]
    names = list(dict.fromkeys(name for row in plain for name in row))
    return table(session.say("layers"), names, [[text(row.get(name)) for name in names] for row in plain])


def _tensor(each: Mapping[str, Any]) -> tuple[str, ...]:
    shown = each["name"], " × ".join(map(str, each["shape"])), each.get("dtype") or ""
    return (*shown, text(each["bytes"])) if "bytes" in each else shown


def _rows(answer: Answer) -> Iterator[Mapping[str, Any]]:
    if "tensors" in answer:
        yield from ({**each, "shape": "x".join(map(str, each["shape"]))} for each in answer["tensors"])
    elif "layers" in answer:
        yield from answer["layers"]
    else:
        yield from ({"type": kind, **of} for kind, of in answer["gguf"]["types"].items())
