"""How fast it is: serving, and many configurations side by side."""

from typing import Any

from flask import Response

from ...errors import DomainError
from ..errors import error_body
from ..keeping import kept
from ..limits import spend
from ..replies import json_reply, language
from ..schemas.answers import CompareSpeedAnswer, SpeedAnswer, TrainingSpeedAnswer
from ..schemas.performance import ComparePerformanceSchema, PerformanceSchema
from ..schemas.training_speed import TrainingSpeedSchema
from .blueprints import Blueprint, calibrated, service

blueprint = Blueprint(
    "performance", __name__, url_prefix="/api/performance", description="How fast a model is"
)

_INFERENCE = PerformanceSchema()
_TRAINING = TrainingSpeedSchema()
_SCHEMAS = {"inference": _INFERENCE, "training": _TRAINING}


@blueprint.post("/inference")
@blueprint.arguments(_INFERENCE)
@blueprint.response(200, SpeedAnswer())
@kept("performance_inference")
def inference(values: dict[str, Any]) -> Response:
    """Latencies, throughput, what bounds them and what tokens cost, by batch or under load."""
    _counted(values)
    return json_reply(service().performance("inference", calibrated(values), language()))


@blueprint.post("/training")
@blueprint.arguments(_TRAINING)
@blueprint.response(200, TrainingSpeedAnswer())
@kept("performance_training")
def training(values: dict[str, Any]) -> Response:
    """Step time, rates, utilization, and what a number of tokens takes and costs."""
    return json_reply(service().performance("training", calibrated(values), language()))


@blueprint.post("/compare")
@blueprint.arguments(ComparePerformanceSchema())
@blueprint.response(200, CompareSpeedAnswer())
def compare(values: dict[str, Any]) -> Response:
    """Up to 64 configurations; what is wrong inside one stands in its place."""
    reader = language()

    def refuse(error: DomainError) -> dict[str, Any]:
        return error_body(error, reader)

    calculation, asked = values["calculation_type"], values["configurations"]

    def check(configuration: Any) -> Any:
        return _counted(calibrated(_SCHEMAS[calculation].load(configuration)))

    found = service().compare_performance(calculation, asked, check, refuse, reader)
    return json_reply(found)


def _counted(values: Any) -> Any:
    """The same values; a simulation is counted against its client's limit."""
    if values.get("mode") == "simulate":
        spend("simulate")
    return values
