"""Many configurations side by side: from a file, or every combination of what varies."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, Final

from ..api.schemas.base import StrictSchema, unknown_field
from ..api.schemas.inference import InferenceSchema
from ..api.schemas.others import MOST_CONFIGURATIONS
from ..api.schemas.performance import MOST_COMPARED, PerformanceSchema
from ..api.schemas.training import TrainingSchema
from ..api.schemas.training_speed import TrainingSpeedSchema
from ..errors import InvalidRequest, invalid
from ..units import human
from .options import fields_by_name, json_of, read
from .output import emit, progress, table, text, warnings, write_csv
from .session import Answer, Session

if TYPE_CHECKING:
    from rich.console import RenderableType

MOST_POINTS: Final = 100_000

HEADINGS: Final = {
    "model_name": "model",
    "ttft_ms": "ttft ms",
    "tpot_ms": "tpot ms",
    "output_tokens_per_sec": "tokens/s",
    "tokens_per_sec": "tokens/s",
    "step_ms": "step ms",
    "cost_usd": "USD",
    "requests_per_sec": "requests/s",
    "inference_memory": "memory",
    "training_memory": "memory",
}


@dataclass(frozen=True, slots=True)
class Calculation:
    """What can be compared: where it is asked, what a request holds, what is shown of each answer."""

    path: str
    kind: str
    schema: StrictSchema
    most: int
    figures: tuple[str, ...]


CALCULATIONS: Final[Mapping[str, Calculation]] = {
    "inference": Calculation(
        "/api/memory/compare", "inference", InferenceSchema(), MOST_CONFIGURATIONS, ("inference_memory",)
    ),
    "training": Calculation(
        "/api/memory/compare", "training", TrainingSchema(), MOST_CONFIGURATIONS, ("training_memory",)
    ),
    "performance": Calculation(
        "/api/performance/compare",
        "inference",
        PerformanceSchema(),
        MOST_COMPARED,
        ("ttft_ms", "tpot_ms", "output_tokens_per_sec", "requests_per_sec", "inference_memory"),
    ),
    "training-performance": Calculation(
        "/api/performance/compare",
        "training",
        TrainingSpeedSchema(),
        MOST_COMPARED,
        ("step_ms", "tokens_per_sec", "mfu", "cost_usd", "training_memory"),
    ),
}


@dataclass(frozen=True, slots=True)
class Envelope:
    """The configurations of a compare, and the fields that tell them apart."""

    what: str
    configurations: Sequence[Mapping[str, Any]]
    varied: tuple[str, ...]


def envelope_of(
    file: str | None, what: str, models: Sequence[str], fixed: Sequence[str], vary: Sequence[str]
) -> Envelope:
    """The envelope in a file, or the one that options describe; raises `InvalidRequest`."""
    if file is not None:
        found = json_of(file, "FILE")
        asked = found.get("configurations") if isinstance(found, Mapping) else found
        if isinstance(found, Mapping):
            what = str(found.get("calculation_type", what))
        if not isinstance(asked, list) or what not in CALCULATIONS:
            raise invalid("configurations", "not_configurations", most=MOST_CONFIGURATIONS)
        return Envelope(what, asked, _differing(asked))
    fields = fields_by_name(CALCULATIONS[what].schema)
    common = {name: value for name, (value,) in settings_of(fixed, fields, split=False)}
    axes = dict(settings_of(vary, fields, split=True))
    if models:
        axes = {"model_name": list(models), **axes}
    return grid(what, common, axes)


def grid(what: str, common: Mapping[str, Any], axes: Mapping[str, Sequence[Any]]) -> Envelope:
    """Every combination of the axes over what is common; raises `InvalidRequest` where they are too many."""
    if prod(map(len, axes.values())) > MOST_POINTS:
        raise invalid("vary", "not_configurations", most=MOST_POINTS)
    points = [
        _nested({**common, **dict(zip(axes, values, strict=True))}) for values in product(*axes.values())
    ]
    varied = tuple(name for name, values in axes.items() if len(values) > 1)
    return Envelope(what, points, varied or tuple(axes)[:1] or ("model_name",))


def compared(session: Session, envelope: Envelope, label: str = "") -> list[Answer]:
    """The answers to as many requests as the configurations need, with a bar while they run."""
    calculation = CALCULATIONS[envelope.what]
    found = []
    points = envelope.configurations
    with progress(label or session.say("comparing", count=len(points)), len(points)) as advance:
        for start in range(0, max(1, len(points)), calculation.most):
            some = points[start : start + calculation.most]
            body = {"calculation_type": calculation.kind, "configurations": some}
            found.append(session.source.post(calculation.path, body))
            advance(len(some))
    return found


def show_compared(session: Session, answers: Sequence[Answer], envelope: Envelope) -> None:
    """One request's answer as the interface gives it; several as a list of such answers."""
    results = [each for answer in answers for each in answer["results"]]
    rows = list(_rows(results, envelope))
    if session.format == "csv":
        write_csv(rows)
    elif session.format == "json" and len(answers) > 1:
        import json

        import click

        click.echo(json.dumps(answers, ensure_ascii=False, indent=2))
    else:
        emit(session, answers[0], lambda *_: _tables(session, rows, results, envelope), lambda _: rows)


def _tables(
    session: Session, rows: Sequence[Mapping[str, Any]], results: Sequence[Answer], envelope: Envelope
) -> Iterator["RenderableType"]:
    names = [*envelope.varied, *CALCULATIONS[envelope.what].figures]
    shown = [[figure(name, row.get(name)) for name in names] + [_state(session, row)] for row in rows]
    columns = [HEADINGS.get(name, name) for name in names]
    yield table(session.say("compared", count=len(rows)), [*columns, ""], shown, left=len(envelope.varied))
    seen = {each["code"]: each for answer in results for each in answer.get("warnings") or ()}
    yield from warnings({"warnings": list(seen.values())})


def _rows(results: Sequence[Answer], envelope: Envelope) -> Iterator[Mapping[str, Any]]:
    for asked, answer in zip(envelope.configurations, results, strict=True):
        row: dict[str, Any] = {name: _at(asked, name) for name in envelope.varied}
        row |= {name: answer[name] for name in CALCULATIONS[envelope.what].figures if name in answer}
        row |= answer.get("memory_bytes") or {}
        if "fit" in answer:
            row["fits"] = answer["fit"]["fits"]
        if "bottleneck" in answer:
            row["bottleneck"] = answer["bottleneck"]
        if "error" in answer:
            row["error"] = answer["error"]
        yield row


def _state(session: Session, row: Mapping[str, Any]) -> str:
    if "error" in row:
        return str(row["error"])
    fits = row.get("fits")
    return "" if fits is None else session.say("yes" if fits else "no_fit")


def figure(name: str, value: Any) -> str:
    """A field or figure for people."""
    return human(value) if name.endswith("_memory") and value is not None else text(value)


def settings_of(
    given: Sequence[str], fields: Mapping[str, Any], *, split: bool
) -> Iterator[tuple[str, list[Any]]]:
    """`field=value` texts as JSON values, several for what varies."""
    for each in given:
        name, sign, value = each.partition("=")
        name = name.strip().replace("-", "_")
        name = {"model": "model_name", "accelerator": "gpu"}.get(name, name)
        if name not in fields:
            problem = unknown_field(name, "", fields)
            raise InvalidRequest(problem.message, [problem])
        if not sign:
            raise invalid(name, "cli_needs_value", given=each[:80])
        parts = value.split(",") if split else [value]
        yield name, [read(fields[name], part.strip(), name) for part in parts]


def _nested(point: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for name, value in point.items():
        outer, _, inner = name.partition(".")
        if inner:
            body[outer] = {**body.get(outer, {}), inner: value}
        else:
            body[name] = value
    return body


def _at(asked: Any, path: str) -> Any:
    for name in path.split("."):
        asked = asked.get(name) if isinstance(asked, Mapping) else None
    return asked


def _differing(asked: Sequence[Any]) -> tuple[str, ...]:
    """Top fields whose values are not the same everywhere."""
    rows = [each for each in asked if isinstance(each, Mapping)]
    names = dict.fromkeys(name for row in rows for name in row if name != "config")
    return tuple(name for name in names if len({str(row.get(name)) for row in rows}) > 1) or ("model_name",)
