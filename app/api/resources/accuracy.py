"""How far off we are: on a log of the caller's own, and on published measurements."""

from typing import Any

from flask import Response

from ..replies import json_reply, language
from ..schemas.answers import AccuracyAnswer, LogAnswer
from ..schemas.validation import LogSchema
from .blueprints import Blueprint, service

blueprint = Blueprint("accuracy", __name__, url_prefix="/api", description="Predicted beside measured")


@blueprint.post("/validate/log")
@blueprint.arguments(LogSchema())
@blueprint.response(200, LogAnswer())
def validate(values: dict[str, Any]) -> Response:
    """A start-up log in, predicted beside measured out, term by term."""
    return json_reply(service().validate_log(values, language()))


@blueprint.get("/accuracy")
@blueprint.response(200, AccuracyAnswer())
def accuracy() -> Response:
    """Our error on published measurements, in the sample of each rule and left out of it."""
    return json_reply(service().accuracy())
