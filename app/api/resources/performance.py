"""How fast it is: serving, and many configurations side by side."""

from typing import Any

from flask import Response

from ...errors import DomainError
from ..errors import error_body
from ..replies import json_reply, language
from ..schemas.answers import CompareSpeedAnswer, SpeedAnswer
from ..schemas.performance import ComparePerformanceSchema, PerformanceSchema
from .blueprints import Blueprint, service

blueprint = Blueprint(
    "performance", __name__, url_prefix="/api/performance", description="How fast a model is"
)

_INFERENCE = PerformanceSchema()


@blueprint.post("/inference")
@blueprint.arguments(_INFERENCE)
@blueprint.response(200, SpeedAnswer())
def inference(values: dict[str, Any]) -> Response:
    """Latencies, throughput, what bounds them and what tokens cost, by batch or under load."""
    return json_reply(service().performance("inference", values, language()))


@blueprint.post("/compare")
@blueprint.arguments(ComparePerformanceSchema())
@blueprint.response(200, CompareSpeedAnswer())
def compare(values: dict[str, Any]) -> Response:
    """Up to 64 configurations; what is wrong inside one stands in its place."""
    reader = language()

    def refuse(error: DomainError) -> dict[str, Any]:
        return error_body(error, reader)

    asked = values["configurations"]
    found = service().compare_performance(values["calculation_type"], asked, _INFERENCE.load, refuse, reader)
    return json_reply(found)
