"""From corrections to the answer that people and programs read."""

from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from ..messages import Language, Message
from ..performance.calibration import OF_DEVICE
from ..performance.calibration_fit import Mechanism
from .answer import Style, warning
from .calibration import Calibrated, Residual
from .calibration_use import plain

DIGITS: Final = 6


def render_calibration(found: Calibrated, style: Style, *, kept: bool) -> dict[str, Any]:
    """The whole answer, as plain data; `coefficients` is what a request's `calibration` takes."""
    corrected = [each for each in found.residuals if each.corrected]
    return {
        "calculation_type": found.calibration.task,
        "name": found.calibration.name,
        "kept": kept,
        "coefficients": plain(found.calibration),
        "mechanisms": [_mechanism(each, style.language) for each in found.fit.mechanisms],
        "residuals": [_residual(each) for each in found.residuals],
        "summary": _summary(corrected),
        "warnings": [warning(message, style.language) for message in found.warnings],
    }


def _mechanism(each: Mechanism, language: Language) -> dict[str, Any]:
    return {
        "name": each.name,
        "scope": "gpu" if each.name in OF_DEVICE else "backend",
        "factor": _rounded(each.factor),
        "low": _rounded(each.low),
        "high": _rounded(each.high),
        "corrected": each.corrected,
        "identified": each.identified,
        "figures": each.felt,
        "figures_needed": each.further,
        "missing": _missing(each, language),
    }


def _missing(each: Mechanism, language: Language) -> str | None:
    """What to measure for a factor that is not known."""
    if each.identified:
        return None
    code = "calibration_unfelt" if not each.felt else "calibration_vague"
    if each.twin is not None:
        code = "calibration_confounded"
    hint = Message(f"calibration_hint_{each.name}").text(language)
    values = {"name": each.name, "twin": each.twin or "", "more": each.further, "hint": hint}
    return Message(code, values).text(language)


def _residual(each: Residual) -> dict[str, Any]:
    return {
        "measurement": each.measurement,
        "figure": each.figure,
        "corrected": each.corrected,
        "measured": each.measured,
        "before": _rounded(each.before),
        "after": _rounded(each.after),
        "left_out": None if each.left_out is None else _rounded(each.left_out),
        "error_before": _off(each.before, each),
        "error_after": _off(each.after, each),
        "error_left_out": None if each.left_out is None else _off(each.left_out, each),
    }


def _summary(residuals: Sequence[Residual]) -> dict[str, Any]:
    """Medians and the largest of the errors' sizes: before, after, and with each measurement left out."""
    found: dict[str, Any] = {"figures": len(residuals)}
    for name in ("before", "after", "left_out"):
        values = [getattr(each, name) for each in residuals]
        known = [abs(v / r.measured - 1) for v, r in zip(values, residuals, strict=True) if v is not None]
        found[f"median_error_{name}"] = _rounded(median(known)) if known else None
        found[f"worst_error_{name}"] = _rounded(max(known)) if known else None
    return found


def _off(value: float, each: Residual) -> float:
    return _rounded(value / each.measured - 1)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
