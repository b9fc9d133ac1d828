"""Requests of calibration: what was run, what was measured, and corrections as a request carries them."""

from collections.abc import Mapping
from typing import Any, ClassVar

import marshmallow as ma

from ...errors import Problem
from ...messages import Message
from .. import choices
from .base import Rule, StrictSchema
from .coefficients import MOST_MEASUREMENTS
from .fields import Choice, Number, Object, Strict, Text, rejected
from .performance import PerformanceSchema
from .training_speed import TrainingSpeedSchema

MEMORY = "memory_bytes"


def no_shorter_whole(data: Mapping[str, Any], prefix: str) -> Problem | None:
    """A whole request takes no less than its first token."""
    first, whole = data.get("ttft_ms"), data.get("e2e_latency_ms")
    if isinstance(first, int | float) and isinstance(whole, int | float) and whole < first:
        field = f"{prefix}e2e_latency_ms"
        return Problem(field, Message("measured_contradiction", {"field": field}))
    return None


class MeasuredServingSchema(StrictSchema):
    """Figures of one run of serving, as the service defines them: means over requests."""

    rules: ClassVar[tuple[Rule, ...]] = (no_shorter_whole,)

    ttft_ms = Number("To the first token.", above=0, most=1e9)
    tpot_ms = Number("Per output token.", above=0, most=1e9)
    itl_ms = Number("Between tokens.", above=0, most=1e9)
    e2e_latency_ms = Number("Of a whole request.", above=0, most=1e12)
    throughput_tokens_per_sec = Number("Input and output.", above=0, most=1e12)
    output_tokens_per_sec = Number("Output alone.", above=0, most=1e12)
    requests_per_sec = Number("Answered.", above=0, most=1e9)
    memory_bytes = Number("Peak of one GPU; compared, not corrected.", above=0, most=1e15)


class MeasuredTrainingSchema(StrictSchema):
    """Figures of one run of training."""

    step_ms = Number("One optimizer step.", above=0, most=1e9)
    tokens_per_sec = Number("Over all GPUs.", above=0, most=1e12)
    tokens_per_sec_per_gpu = Number("Of one GPU.", above=0, most=1e12)
    mfu = Number("FLOPs that are needed over the peak, 0 to 1.", above=0, most=1)
    memory_bytes = Number("Peak of one GPU; compared, not corrected.", above=0, most=1e15)


class RunSchema(PerformanceSchema):
    """What was served."""

    class Meta:
        unknown = ma.RAISE
        exclude = ("calibration", "solve_for", "mode", "seed", "top_ops", "price_per_hour", "unit", "explain")


class TrainingRunSchema(TrainingSpeedSchema):
    """What was trained."""

    class Meta:
        unknown = ma.RAISE
        exclude = ("calibration", "solve_for", "tokens", "unit", "explain")


class Measurements(Strict, ma.fields.List[Any]):
    """1 to 32 objects with `request` and `measured`; what they may hold depends on the task."""

    def __init__(self, description: str) -> None:
        super().__init__(
            description,
            cls_or_instance=ma.fields.Dict(),
            required=True,
            published={"minItems": 1, "maxItems": MOST_MEASUREMENTS},
        )

    def accept(self, value: Any, path: str) -> list[dict[str, Any]]:
        good = isinstance(value, list) and 1 <= len(value) <= MOST_MEASUREMENTS
        if not good or not all(isinstance(each, dict) for each in value):
            raise rejected(path, "not_measurements", most=MOST_MEASUREMENTS)
        return list(value)


class MeasurementSchema(StrictSchema):
    """One run: what of the request differs from the others', and its figures."""

    request = Object("Fields over those that all share.")
    measured = Object("Figures, at least one.", required=True)


class CalibrateSchema(StrictSchema):
    """Measurements of one's own; with a name the corrections are kept."""

    calculation_type = Choice("What was measured.", of=choices.CALCULATIONS, default="inference")
    name = Text("Keeps the corrections under this name, in place of what was there.", longest=100)
    request = Object("Fields of the request that all measurements share: model, gpu, backend, layout.")
    measurements = Measurements("Each: request (fields over the shared ones) and measured (figures).")

    def examine(self, data: Mapping[str, Any], prefix: str = "") -> tuple[dict[str, Any], list[Problem]]:
        """Each measurement's whole request by the schema of the task."""
        values, problems = super().examine(data, prefix)
        values.setdefault("calculation_type", "inference")
        shared = values.pop("request", {})
        runs = []
        for place, each in enumerate(values.get("measurements", ())):
            run, wrong = _run(values["calculation_type"], each, shared, f"{prefix}measurements[{place}].")
            runs.append(run)
            problems.extend(wrong)
        timed = any(set(run["measured"]) - {MEMORY} for run in runs)
        if runs and not timed and not problems:
            field = f"{prefix}measurements"
            problems.append(Problem(field, Message("measured_only_memory", {"field": field})))
        return {**values, "measurements": runs}, problems


_RUNS = {"inference": RunSchema(), "training": TrainingRunSchema()}
_MEASURED = {"inference": MeasuredServingSchema(), "training": MeasuredTrainingSchema()}
_MEASUREMENT = MeasurementSchema()


def _run(
    task: str, given: Mapping[str, Any], shared: Mapping[str, Any], prefix: str
) -> tuple[dict[str, Any], list[Problem]]:
    """One measurement with its whole request, and what is wrong with it."""
    outer, problems = _MEASUREMENT.examine(given, prefix)
    request, wrong = _RUNS[task].examine({**shared, **outer.get("request", {})}, f"{prefix}request.")
    field = f"{prefix}measured"
    measured, unlike = _MEASURED[task].examine(outer.get("measured", {}), f"{field}.")
    if not measured and not unlike and "measured" in outer:
        names = ", ".join(_MEASURED[task].load_fields)
        unlike = [Problem(field, Message("measured_nothing", {"field": field, "names": names}))]
    return {"request": request, "measured": measured}, [*problems, *wrong, *unlike]
