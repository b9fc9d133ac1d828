"""How much memory it needs: inference, training, and many configurations side by side."""

from typing import Any

from flask import Response

from ...errors import DomainError
from ..error_body import error_body
from ..keeping import kept
from ..replies import json_reply, language
from ..schemas.answers import CompareAnswer, InferenceAnswer, TrainingAnswer
from ..schemas.inference import InferenceSchema
from ..schemas.others import CompareSchema
from ..schemas.training import TrainingSchema
from .blueprints import Blueprint, service

blueprint = Blueprint("memory", __name__, url_prefix="/api/memory", description="Memory that a model needs")

_INFERENCE = InferenceSchema()
_TRAINING = TrainingSchema()
_SCHEMAS = {"inference": _INFERENCE, "training": _TRAINING}


@blueprint.post("/inference")
@blueprint.arguments(_INFERENCE)
@blueprint.response(200, InferenceAnswer())
@kept("memory_inference")
def inference(values: dict[str, Any]) -> Response:
    """Memory of serving a model, for the fullest GPU and the whole deployment."""
    return json_reply(service().memory("inference", values, language()))


@blueprint.post("/training")
@blueprint.arguments(_TRAINING)
@blueprint.response(200, TrainingAnswer())
@kept("memory_training")
def training(values: dict[str, Any]) -> Response:
    """Memory of training a model, at the moment of the peak."""
    return json_reply(service().memory("training", values, language()))


@blueprint.post("/compare")
@blueprint.arguments(CompareSchema())
@blueprint.response(200, CompareAnswer())
def compare(values: dict[str, Any]) -> Response:
    """Up to 1000 configurations; what is wrong inside one stands in its place."""
    calculation, reader = values["calculation_type"], language()

    def refuse(error: DomainError) -> dict[str, Any]:
        return error_body(error, reader)

    check = _SCHEMAS[calculation].load
    return json_reply(service().compare(calculation, values["configurations"], check, refuse, reader))
