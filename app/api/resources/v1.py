"""Memory, performance and recommendation in one answer; what there is to choose from."""

from typing import Any

import marshmallow as ma
from flask import Response, current_app

from ...memory.runtimes.choices import KV_CACHE_DTYPES, VERSIONS
from ..keeping import kept
from ..limits import limited
from ..options import Options
from ..replies import json_reply, language
from ..schemas.recommend_answers import EstimateAnswer
from ..schemas.v1 import EstimateInferenceSchema, EstimateTrainingSchema
from .blueprints import Blueprint, calibrated, service

blueprint = Blueprint("v1", __name__, url_prefix="/api/v1", description="Everything in one answer")


class BackendsAnswer(ma.Schema):
    """Runtimes."""

    backends = ma.fields.List(ma.fields.Dict(), required=True)
    default = ma.fields.String(required=True)


class ConfigsAnswer(ma.Schema):
    """Options of a training run, by field."""

    class Meta:
        unknown = ma.INCLUDE

    configs = ma.fields.Dict(required=True)


@blueprint.post("/inference/estimate")
@limited("recommend")
@blueprint.arguments(EstimateInferenceSchema())
@blueprint.response(200, EstimateAnswer())
@kept("estimate_inference")
def inference(values: dict[str, Any]) -> Response:
    """Memory and speed of serving, and what to serve it on."""
    return json_reply(service().whole("inference", calibrated(values), language()))


@blueprint.post("/training/estimate")
@limited("recommend")
@blueprint.arguments(EstimateTrainingSchema())
@blueprint.response(200, EstimateAnswer())
@kept("estimate_training")
def training(values: dict[str, Any]) -> Response:
    """Memory and speed of training, and what to train it on."""
    return json_reply(service().whole("training", calibrated(values), language()))


@blueprint.get("/inference/backends")
@blueprint.response(200, BackendsAnswer())
def backends() -> Response:
    """Runtimes, their versions and the types of their caches."""
    listed = _options()["inference"]["backend"]
    found = [
        {
            "name": each["value"],
            "description": each["description"],
            "aliases": each["aliases"],
            "versions": list(VERSIONS[each["value"]]),
            "kv_cache_dtypes": list(KV_CACHE_DTYPES[each["value"]]),
        }
        for each in listed["values"]
    ]
    return json_reply({"backends": found, "default": listed["default"]})


@blueprint.get("/training/configs")
@blueprint.response(200, ConfigsAnswer())
def configs() -> Response:
    """Every enumerated field of a training request: values, one line each, default."""
    return json_reply({"configs": _options()["training"]})


def _options() -> dict[str, Any]:
    options: Options = current_app.extensions.setdefault("options", Options(service()))
    return options.every(language())
