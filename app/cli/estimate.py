"""`estimate`: speed and memory of serving, from one accelerator to a cluster."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from ..api.schemas.performance import PerformanceSchema
from ..estimator.performance import with_lengths
from .memory_tables import bar, fit_line, memory_tables, parts
from .options import body_of, from_schema
from .output import emit, table, text, warnings
from .session import Answer, Session, asks

if TYPE_CHECKING:
    from rich.console import RenderableType

# Figures of the answers, each with its unit.
FIGURES: Final[Mapping[str, str]] = {
    "throughput_tokens_per_sec": "tokens/s",
    "output_tokens_per_sec": "tokens/s",
    "requests_per_sec": "requests/s",
    "ttft_ms": "ms",
    "tpot_ms": "ms",
    "itl_ms": "ms",
    "e2e_latency_ms": "ms",
    "saturation": "",
    "cost_per_million_tokens": "USD",
    "tokens_per_sec": "tokens/s",
    "tokens_per_sec_per_gpu": "tokens/s",
    "step_ms": "ms",
    "mfu": "",
    "tflops_per_gpu": "TFLOPS",
    "days": "d",
    "gpu_hours": "h",
    "cost_usd": "USD",
}
_UTILIZATIONS: Final = ("compute", "memory_bandwidth", "memory_capacity")


@click.command()
@from_schema(PerformanceSchema())
@click.option("--show-ops", is_flag=True, help="The operations that take longest, and what bounds each.")
@click.option("--detailed", is_flag=True, help="Memory by part, time by what bounds it, percentiles.")
@click.option("--verbose", "-v", is_flag=True, help="Formulas and values, every default, definitions.")
@asks
def estimate(session: Session, show_ops: bool, detailed: bool, verbose: bool, **given: Any) -> None:
    answer = session.source.post("/api/performance/inference", with_lengths(body_of(given)))
    show_ops = show_ops or given.get("top_ops") is not None
    shown = partial(speed_tables, show_ops=show_ops, detailed=detailed, verbose=verbose)
    emit(session, answer, shown, operation_rows if show_ops else figure_rows)


def speed_tables(
    session: Session, answer: Answer, *, show_ops: bool = False, detailed: bool = False, verbose: bool = False
) -> Iterator["RenderableType"]:
    """The metrics with their bands, utilisation beside them, then as much more as was asked for."""
    yield _figures(session, answer)
    yield _utilization(session, answer)
    if show_ops:
        yield operations(session, answer)
    if detailed:
        yield from _details(session, answer)
    if verbose:
        yield _definitions(session, answer)
        yield from memory_tables(session, answer, verbose=True)
    else:
        yield fit_line(session, answer)
        yield from warnings(answer)


def figure_rows(answer: Answer) -> Iterator[Mapping[str, Any]]:
    """One row for each figure, then for each utilisation and each part of memory [bytes]."""
    ranges = answer.get("performance_range") or {}
    for name, unit in FIGURES.items():
        if answer.get(name) is not None:
            band = ranges.get(name) or {}
            yield _row(name, answer[name], unit, band.get("low"), band.get("high"))
    yield _row("bottleneck", answer["bottleneck"])
    for name, share in answer["utilization"].items():
        yield _row(f"utilization.{name}", share)
    for name, size in answer["memory_bytes"].items():
        yield _row(name, size, "bytes")


def operation_rows(answer: Answer) -> Iterator[Mapping[str, Any]]:
    """One row for each operation."""
    yield from answer["operations"]


def operations(session: Session, answer: Answer) -> "RenderableType":
    """The operations that the answer lists, longest first."""
    rows = [
        (each["operation"], each["phase"], text(each["ms"]), f"{each['share']:.1%}", each["bound"])
        for each in answer["operations"]
    ]
    columns = [session.say(word) for word in ("operation", "phase", "ms", "share", "bound")]
    return table(session.say("operations"), columns, rows, left=2)


def _row(
    figure: str, value: Any, unit: str = "", low: float | None = None, high: float | None = None
) -> dict[str, Any]:
    return {"figure": figure, "value": value, "unit": unit, "low": low, "high": high}


def _figures(session: Session, answer: Answer) -> "RenderableType":
    ranges = answer.get("performance_range") or {}
    rows = [
        (name, f"{text(answer[name])} {unit}".strip(), _band(ranges.get(name)))
        for name, unit in FIGURES.items()
        if answer.get(name) is not None
    ]
    rows.append(("bottleneck", answer["bottleneck"], ""))
    columns = [session.say(word) for word in ("figure", "value", "band")]
    return table(_title(session, answer), columns, rows)


def _title(session: Session, answer: Answer) -> str:
    asked = answer["parameters"]
    gpu = asked["gpu"] if isinstance(asked["gpu"], str) else asked["gpu"].get("name", "")
    if answer["calculation_type"] == "training":
        load = session.say("training_load", gpus=asked["num_gpus"], length=asked["sequence_length"])
    else:
        load = session.say("lengths", read=asked.get("input_length"), written=asked.get("output_length"))
    return f"{answer['model']['name']} · {gpu} · {asked.get('backend') or asked.get('framework')} · {load}"


def _utilization(session: Session, answer: Answer) -> "RenderableType":
    found = answer["utilization"]
    names = [*_UTILIZATIONS, *(name for name in found if name not in _UTILIZATIONS)]
    rows = [(name, bar(found[name])) for name in names if found.get(name) is not None]
    return table(session.say("utilization"), ["", ""], rows)


def _details(session: Session, answer: Answer) -> Iterator["RenderableType"]:
    shares = [(name, bar(share)) for name, share in (answer.get("time_shares") or {}).items()]
    shares += [(name, f"{text(ms)} ms") for name, ms in (answer.get("breakdown_ms") or {}).items()]
    yield table(session.say("time"), ["", ""], shares)
    yield parts(session, answer)
    if answer.get("percentiles"):
        rows = [
            (name, *(text(each.get(point)) for point in ("p50", "p90", "p99")))
            for name, each in answer["percentiles"].items()
        ]
        yield table(session.say("percentiles"), ["", "p50", "p90", "p99"], rows)


def _definitions(session: Session, answer: Answer) -> "RenderableType":
    rows = list((answer.get("definitions") or {}).items())
    return table(session.say("definitions"), [session.say("figure"), ""], rows, left=2)


def _band(band: Mapping[str, float] | None) -> str:
    return f"{text(band['low'])} – {text(band['high'])}" if band else ""
