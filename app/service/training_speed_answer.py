"""From an estimate of training speed to the answer that people and programs read, its memory beside it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec.structs import asdict

from ..memory.estimate import Estimate
from ..memory.requests import Model
from ..messages import Message
from ..performance.training_requests import TrainingPerformance
from .answer import Style, render, side_by_side, warning

DIGITS: Final = 6  # significant ones: speeds are not known to more
RATES: Final = ("tokens_per_sec_per_gpu", "tokens_per_sec", "mfu", "hfu", "tflops_per_gpu")
DURATIONS: Final = ("step_ms", "days", "gpu_hours", "cost_usd")
ORDERED_BY: Final = "tokens_per_sec"
COMPARED: Final = ("tokens_per_sec", "tokens_per_sec_per_gpu", "step_ms", "mfu", "cost_usd")
DEFINED: Final = ("step_ms", "mfu", "hfu", "tflops_per_gpu", "tokens_per_sec", "cost_usd")


def figures_of(found: TrainingPerformance) -> dict[str, float | None]:
    """The main figures by the contract's names."""
    return {
        "tokens_per_sec_per_gpu": _rounded(found.tokens_per_sec_per_gpu),
        "tokens_per_sec": _rounded(found.tokens_per_sec),
        "step_ms": _rounded(found.step.total),
        "mfu": _rounded(found.mfu),
        "hfu": _rounded(found.hfu),
        "tflops_per_gpu": _rounded(found.tflops_per_gpu),
        "days": _rounded(found.days),
        "gpu_hours": _rounded(found.gpu_hours),
        "cost_usd": _rounded(found.cost_usd),
    }


def render_training_speed(
    model: Model,
    found: TrainingPerformance,
    memory: Estimate,
    parameters: Mapping[str, Any],
    style: Style,
    warnings: tuple[Message, ...] = (),
) -> dict[str, Any]:
    """The whole answer, as plain data: speed, and the memory of the same request."""
    answer = render("training", model, memory, {**parameters, **found.parameters}, style, warnings)
    fit = memory.fit
    doubts = [*found.warnings]
    if fit is not None and not fit.fits:
        doubts.append(Message("training_speed_does_not_fit"))
    answer["warnings"] += [warning(message, style.language) for message in doubts]
    figures = figures_of(found)
    return {
        **answer,
        **figures,
        "tokens_per_step": found.tokens_per_step,
        "breakdown_ms": {name: _rounded(value) for name, value in asdict(found.step).items()},
        "bottleneck": found.bottleneck,
        "utilization": {
            **{name: _rounded(value) for name, value in found.utilization.items()},
            "memory_capacity": None if fit is None else _rounded(fit.utilization),
        },
        "performance_range": _ranges(figures, found.band),
        **({"definitions": _definitions(style)} if style.explain else {}),
    }


def training_speed_summary(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Which of several runs is fastest."""
    return side_by_side(results, ORDERED_BY, COMPARED)


def _ranges(figures: Mapping[str, float | None], band: float) -> dict[str, dict[str, float | None]]:
    """Nine of ten measured runs; a slower run takes longer and costs more."""
    known = {name: value for name, value in figures.items() if value is not None}
    return {
        name: {"low": _rounded(known[name] / band), "high": _rounded(known[name] * band)}
        for name in (*RATES, *DURATIONS)
        if name in known
    }


def _definitions(style: Style) -> dict[str, str]:
    return {name: Message(f"define_training_{name}").text(style.language) for name in DEFINED}


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")
