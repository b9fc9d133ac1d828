"""Measurements of one's own held against predictions, and the corrections that they make."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from ..errors import InvalidRequest, Problem
from ..memory.inference import estimate_inference
from ..memory.training.estimate import estimate_training
from ..messages import Message
from ..performance import calibration_figures as figures_of
from ..performance.calibration import NONE, Calibration
from ..performance.calibration_fit import SPREAD, TRAINING_SPREAD, Figure, Fit, fit, without
from .lookup import Lookup
from .speed_questions import speed_question
from .training_speed_question import training_speed_question

Values = Mapping[str, Any]

OF_MEMORY: Final = "memory_bytes"  # compared, never corrected: it follows from rules
STRANGEST: Final = 20.0  # times off the prediction: a slip of units, or another question
STRANGEST_QUEUED: Final = 2000.0  # of requests that come at a rate: near saturation a little more is a queue
FEWEST_LEFT_OUT: Final = 3  # measurements from which leaving one out says something
POOR: Final = 0.25  # of a figure's error after the correction: more is no scatter


class Residual(Struct, frozen=True):
    """One figure of one measurement: predicted before, after, and by a fit without its measurement."""

    measurement: int
    figure: str
    measured: float
    before: float
    after: float
    left_out: float | None
    corrected: bool = True


class Calibrated(Struct, frozen=True):
    """What a set of measurements gives."""

    calibration: Calibration
    fit: Fit
    residuals: tuple[Residual, ...]
    warnings: tuple[Message, ...]


class _Run(Struct, frozen=True):
    """One measurement: where it ran, how its figures are predicted, and what no device could beat."""

    gpu: str
    backend: str
    predict: Callable[[str], Callable[..., float]]
    best: Callable[[str], float]
    memory: int
    warnings: tuple[Message, ...]
    strangest: float = STRANGEST


def calibrate(values: Values, lookup: Lookup) -> Calibrated:
    """Corrections from checked measurements; raises `DomainError`, naming each figure that cannot be."""
    task = values["calculation_type"]
    runs = [_run(task, each["request"], lookup) for each in values["measurements"]]
    figures, compared, problems = [], [], []
    for place, (run, each) in enumerate(zip(runs, values["measurements"], strict=True)):
        for name, measured in each["measured"].items():
            if name == OF_MEMORY:
                compared.append(Residual(place, name, measured, run.memory, run.memory, None, False))
                continue
            figure = Figure(name, place, measured, noise_of(name), run.predict(name))
            problems.extend(_strange(figure, run))
            figures.append(figure)
    if problems:
        raise InvalidRequest(problems[0].message, problems)
    spread = TRAINING_SPREAD if task == "training" else SPREAD
    found = fit(figures, spread)
    residuals = [*_residuals(figures, found, spread, len(runs)), *compared]
    return Calibrated(
        _calibration(task, runs, found, values.get("name")), found, tuple(residuals),
        (*_of_runs(runs), *_doubts(runs, residuals)),
    )  # fmt: skip


def noise_of(name: str) -> float:
    """Standard deviation of a figure's logarithm."""
    return figures_of.NOISE.get(name, figures_of.NOISE_ELSE)


def _run(task: str, request: Values, lookup: Lookup) -> _Run:
    return _training_run(request, lookup) if task == "training" else _serving_run(request, lookup)


def _serving_run(request: Values, lookup: Lookup) -> _Run:
    question = speed_question(request, lookup)
    ask, serving = question.request, question.request.serving
    return _Run(
        "" if serving.gpu is None else serving.gpu.name,
        serving.backend,
        figures_of.of_serving(ask),
        figures_of.best_of_serving(ask),
        estimate_inference(serving).total,
        question.warnings,
        STRANGEST if ask.request_rate is None else STRANGEST_QUEUED,
    )


def _training_run(request: Values, lookup: Lookup) -> _Run:
    question = training_speed_question(request, lookup)
    ask, training = question.request, question.request.training
    return _Run(
        "" if training.gpu is None else training.gpu.name,
        training.framework,
        figures_of.of_training(ask),
        figures_of.best_of_training(ask),
        estimate_training(training).total,
        question.warnings,
    )


def _strange(figure: Figure, run: _Run) -> list[Problem]:
    """What speaks against a figure: physics, or a prediction that is another order of magnitude."""
    field = f"measurements[{figure.measurement}].measured.{figure.name}"
    best, predicted = run.best(figure.name), figure.predict(NONE)
    values = {"field": field, "measured": f"{figure.measured:.4g}", "gpu": run.gpu}
    beaten = figure.measured < best if figure.name in figures_of.TIMES else figure.measured > best
    if beaten:
        return [Problem(field, Message("measured_beats_physics", {**values, "best": f"{best:.4g}"}))]
    times = max(figure.measured / predicted, predicted / figure.measured)
    if times > run.strangest:
        more = {"predicted": f"{predicted:.4g}", "times": f"{times:.0f}"}
        return [Problem(field, Message("measured_far_off", {**values, **more}))]
    return []


def _residuals(
    figures: list[Figure], found: Fit, spread: Mapping[str, float], measurements: int
) -> list[Residual]:
    blind: tuple[float | None, ...] = (None,) * len(figures)
    if measurements >= FEWEST_LEFT_OUT:
        blind = without(figures, found, spread)
    return [
        Residual(figure.measurement, figure.name, figure.measured, before, after, left)
        for figure, before, after, left in zip(figures, found.before, found.after, blind, strict=True)
    ]


def _calibration(task: str, runs: list[_Run], found: Fit, name: str | None) -> Calibration:
    gpus = tuple(dict.fromkeys(run.gpu for run in runs))
    backends = tuple(dict.fromkeys(run.backend for run in runs))
    return Calibration(found.factors, gpus, backends, task, name, len(runs))


def _of_runs(runs: list[_Run]) -> list[Message]:
    """Warnings of the requests, each once."""
    found: list[Message] = []
    for message in (message for run in runs for message in run.warnings):
        if message not in found:
            found.append(message)
    return found


def _doubts(runs: list[_Run], residuals: list[Residual]) -> list[Message]:
    """What to know of the corrections."""
    said = []
    gpus, backends = {run.gpu for run in runs}, {run.backend for run in runs}
    if len(gpus) > 1 or len(backends) > 1:
        said.append(Message("calibration_mixed", {"gpus": ", ".join(gpus), "backends": ", ".join(backends)}))
    if len(runs) < FEWEST_LEFT_OUT:
        said.append(Message("calibration_few", {"count": len(runs), "least": FEWEST_LEFT_OUT}))
    off = {each: each.after / each.measured - 1 for each in residuals if each.corrected}
    worst = max(off, key=lambda each: abs(off[each]), default=None)
    if worst is not None and abs(off[worst]) > POOR:
        field = f"measurements[{worst.measurement}].{worst.figure}"
        said.append(Message("calibration_poor", {"field": field, "error": f"{off[worst]:+.0%}"}))
    return said
