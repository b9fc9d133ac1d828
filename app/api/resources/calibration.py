"""Measurements of one's own in, corrections out; corrections kept under names."""

from typing import Any

from flask import Response

from ..access import check, requires
from ..limits import limited
from ..owners import owner_of
from ..replies import json_reply, language
from ..schemas.calibration import CalibrateSchema
from ..schemas.calibration_answers import CalibrationAnswer, CalibrationLine, CalibrationsAnswer
from .blueprints import Blueprint, service

blueprint = Blueprint(
    "calibration", __name__, url_prefix="/api", description="Corrections by measurements of one's own"
)


@blueprint.post("/calibrate")
@limited("recommend")
@blueprint.arguments(CalibrateSchema())
@blueprint.response(200, CalibrationAnswer())
def calibrate(values: dict[str, Any]) -> Response:
    """Corrections and residuals of measurements; kept only where a name is given, which is a write."""
    if values.get("name") is not None:
        check("write")
    return json_reply(service().calibrations.calibrate(values, language(), owner_of() or ""))


@blueprint.get("/calibrations")
@blueprint.response(200, CalibrationsAnswer())
def list_calibrations() -> Response:
    """The asker's own."""
    owner = owner_of()
    none: dict[str, Any] = {"calibrations": [], "total": 0}
    return json_reply(none if owner is None else service().calibrations.every(owner))


@blueprint.get("/calibrations/<name>")
@blueprint.response(200, CalibrationLine())
def get_calibration(name: str) -> Response:
    """One of the asker's own."""
    return json_reply(service().calibrations.find(name, owner_of() or ""))


@blueprint.delete("/calibrations/<name>")
@requires("write")
@blueprint.response(204)
def delete_calibration(name: str) -> Response:
    """Forget one."""
    service().calibrations.delete(name, owner_of() or "")
    return Response(status=204)
