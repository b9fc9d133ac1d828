"""`recommend`: what to run a model on, why, and the commands that start it."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from ..api.schemas.recommend import RecommendInferenceSchema, RecommendTrainingSchema
from .options import body_of, from_schema
from .output import emit, table, text, waiting, warnings
from .plain import plain
from .session import Answer, Session, asks

if TYPE_CHECKING:
    from rich.console import RenderableType

_SHORT: Final = {
    "tensor_parallel": "TP",
    "pipeline_parallel": "PP",
    "data_parallel": "DP",
    "expert_parallel": "EP",
}
_RATES: Final = ("output_tokens_per_sec", "tokens_per_sec")


@click.command()
@from_schema(RecommendInferenceSchema(), RecommendTrainingSchema(), without=("explain",))
@click.option("--verbose", "-v", is_flag=True, help="Why each option, and what was rejected.")
@click.option("--launch", type=int, metavar="RANK", help="Print the commands and files of this option.")
@click.option("--no-target", is_flag=True, help="Hold nothing: only what is most for the money.")
@asks
def recommend(session: Session, verbose: bool, launch: int | None, no_target: bool, **given: Any) -> None:
    body = {"task": "inference", **body_of(given)}
    if no_target:
        body["targets"] = {}
    with waiting(session.say("searching")):
        answer = session.source.post("/api/recommend", body)
    if launch is not None and session.format == "table":
        for line in launch_lines(answer, launch):
            click.echo(plain(line))
        return
    emit(session, answer, partial(_tables, verbose=verbose), option_rows)


def option_rows(answer: Answer) -> Iterator[Mapping[str, Any]]:
    """One row for each option."""
    for each in answer["options"]:
        price = each["price"] or {}
        yield {
            "rank": each["rank"],
            "gpu": each["gpu"]["name"],
            "num_gpus": each["num_gpus"],
            **each["layout"],
            "quantization": each["quantization"],
            "batch_size": each["batch_size"],
            **each["performance"],
            "memory_bytes": each["memory"]["needed_bytes"],
            "price_per_hour": price.get("per_hour"),
            "price_per_million_tokens": price.get("per_million_tokens"),
            "currency": price.get("currency"),
        }


def launch_lines(answer: Answer, rank: int) -> Iterator[str]:
    """Commands and files of one option, ready to paste; nothing where there is no such option."""
    for each in answer["options"]:
        if each["rank"] != rank:
            continue
        for tool, found in (each.get("launch") or {}).items():
            files = found.get("files", {}) if isinstance(found, Mapping) else {}
            commands = found.get("commands", []) if isinstance(found, Mapping) else found
            yield f"# {tool}"
            for name, content in files.items():
                yield f"# {name}\n{content}"
            yield from [commands] if isinstance(commands, str) else commands


def _tables(session: Session, answer: Answer, *, verbose: bool = False) -> Iterator["RenderableType"]:
    options = answer["options"]
    columns = [
        "",
        "GPU",
        *(session.say(w) for w in ("layout", "format", "batch", "memory", "speed", "hourly")),
    ]
    yield table(
        f"{answer['model']['name']} · {session.say('options')}", columns, map(_option, options), left=4
    )
    for each in options if verbose else options[:1]:
        yield f"{each['rank']}. {' '.join(reason['message'] for reason in each['why'])}"
    if not options and answer.get("change"):
        yield str(answer["change"]["message"])
    if verbose or not options:
        rows = [(each["gpu"], each["reason"]) for each in answer["rejected"]]
        yield table(session.say("rejected"), ["GPU", ""], rows, left=2)
    yield from warnings(answer)


def _option(each: Mapping[str, Any]) -> tuple[str, ...]:
    speed = next((each["performance"][name] for name in _RATES if each["performance"].get(name)), None)
    layout = " ".join(f"{_SHORT[name]}{size}" for name, size in each["layout"].items() if size > 1)
    return (
        str(each["rank"]),
        f"{each['num_gpus']}×{each['gpu']['name']}",
        layout,
        each["quantization"] or each["precision"] or "",
        text(each["batch_size"]),
        each["memory"]["needed"],
        text(speed),
        f"{each['price']['per_hour']:.2f} {each['price']['currency']}" if each["price"] else "",
    )
