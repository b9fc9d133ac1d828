"""From an estimate of speed to the answer that people and programs read, the memory's figures beside it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..memory.requests import Model
from ..messages import Message
from ..performance.estimate import OperationTime, Performance
from .answer import Style, render, side_by_side

DIGITS: Final = 6  # significant ones: speeds are not known to more
ORDERED_BY: Final = "throughput_tokens_per_sec"
COMPARED: Final = ("ttft_ms", "tpot_ms", "e2e_latency_ms", ORDERED_BY, "cost_per_million_tokens")
DEFINITIONS: Final = (
    "ttft_ms",
    "tpot_ms",
    "itl_ms",
    "e2e_latency_ms",
    "throughput_tokens_per_sec",
    "output_tokens_per_sec",
    "saturation",
    "cost_per_million_tokens",
)


def render_speed(
    model: Model,
    found: Performance,
    parameters: Mapping[str, Any],
    style: Style,
    warnings: tuple[Message, ...] = (),
) -> dict[str, Any]:
    """The whole answer, as plain data."""
    answer = render("inference", model, found.memory, parameters, style, (*warnings, *found.warnings))
    answer["parameters"] = {**answer["parameters"], **found.parameters}
    return {
        **answer,
        **{name: _rounded(value) for name, value in found.figures.items()},
        "percentiles": _deep(found.percentiles),
        "saturation": _rounded(found.saturation),
        "bottleneck": found.bottleneck,
        "time_shares": _deep(found.time_shares),
        "utilization": _deep(found.utilization),
        "cost_per_million_tokens": _rounded(found.cost_per_million_tokens),
        "cost_per_million_output_tokens": _rounded(found.cost_per_million_output_tokens),
        "performance_range": {
            name: {"low": _rounded(low), "high": _rounded(high)} for name, (low, high) in found.ranges.items()
        },
        "operations": [_operation(each) for each in found.operations],
        **_deep(found.extra),
        **({"definitions": _definitions(found, style)} if style.explain else {}),
    }


def speed_summary(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Which of several answers is fastest."""
    return side_by_side(results, ORDERED_BY, COMPARED)


def _definitions(found: Performance, style: Style) -> dict[str, str]:
    """What each figure means, as it was asked for."""
    codes = {name: f"define_{name}" for name in DEFINITIONS}
    if found.tpot_definition != "after_first":
        codes["tpot_ms"] = f"define_tpot_ms_{found.tpot_definition}"
    return {name: Message(code).text(style.language) for name, code in codes.items()}


def _operation(each: OperationTime) -> dict[str, Any]:
    return {
        "operation": each.operation,
        "phase": each.phase,
        "count": each.count,
        "flops": _rounded(each.flops),
        "bytes": _rounded(each.bytes),
        "communication_bytes": _rounded(each.sent),
        "ms": _rounded(each.ms),
        "share": _rounded(each.share),
        "bound": each.bound,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")


def _deep(value: Any) -> Any:
    """The same with every number rounded."""
    if isinstance(value, Mapping):
        return {name: _deep(each) for name, each in value.items()}
    return _rounded(value) if isinstance(value, float) else value
