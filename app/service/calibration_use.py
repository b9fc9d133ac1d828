"""A calibration as requests carry it and as the store keeps it, and what an answer says of it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec.structs import asdict

from ..errors import Problem, UnknownName, invalid
from ..messages import Message
from ..performance.calibration import MECHANISMS, Calibration, Factors

Values = Mapping[str, Any]

DIGITS: Final = 5
NAMES_SHOWN: Final = 5


def calibration_of(given: Values | str | None, task: str) -> Calibration | None:
    """The calibration of a request whose name was looked up already; raises `UnknownName`, and
    `InvalidRequest` for one of another task."""
    if given is None:
        return None
    if isinstance(given, str):
        raise unknown(given, ())
    measured = given.get("calculation_type", "inference")
    if measured != task:
        raise invalid("calibration", "calibration_of_other_task", measured=measured, task=task)
    return Calibration(
        Factors(**{name: float(given[name]) for name in MECHANISMS if given.get(name) is not None}),
        tuple(given.get("gpus") or ()),
        tuple(given.get("backends") or ()),
        measured,
        given.get("name"),
        given.get("measurements") or 0,
    )


def plain(found: Calibration) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "calculation_type": found.task,
        **{name: float(f"{value:.{DIGITS}g}") for name, value in asdict(found.factors).items()},
        "gpus": list(found.gpus),
        "backends": list(found.backends),
        "measurements": found.measurements,
    }


def unknown(name: str, names: Sequence[str]) -> UnknownName:
    """The error for a calibration that the asker does not have."""
    shown = ", ".join(names[:NAMES_SHOWN]) or "-"
    message = Message("unknown_calibration", {"name": name[:80], "closest": shown})
    return UnknownName(message, names[:NAMES_SHOWN], [Problem("calibration", message)])


def said_of(calibration: Calibration | None, gpu: str, backend: str) -> tuple[Message, ...]:
    """That an answer rests on a calibration, and what of it does not count there."""
    if calibration is None:
        return ()
    name = calibration.name or "-"
    used = calibration.on(gpu, backend)
    said = []
    if used.changed:
        values = {"name": name, "factors": _listed(used, used.changed), "count": calibration.measurements}
        said.append(Message("calibration_used", values))
    if idle := calibration.idle(gpu, backend):
        scope = {"gpus": ", ".join(calibration.gpus), "backends": ", ".join(calibration.backends)}
        said.append(Message("calibration_idle", {"name": name, "factors": ", ".join(idle), **scope}))
    return tuple(said)


def said_in_plan(calibration: Calibration | None) -> tuple[Message, ...]:
    """That a plan rests on a calibration on some devices and under some runtimes only."""
    if calibration is None:
        return ()
    factors = _listed(calibration.factors, calibration.factors.changed)
    scope = {"gpus": ", ".join(calibration.gpus), "backends": ", ".join(calibration.backends)}
    return (Message("calibration_in_plan", {"name": calibration.name or "-", "factors": factors, **scope}),)


def _listed(factors: Factors, names: Sequence[str]) -> str:
    return ", ".join(f"{name} × {getattr(factors, name):.3g}" for name in names) or "-"
