"""How far off we are: on a log of the caller's own, and on published measurements."""

from typing import Any

from flask import Response

from ...accuracy import accuracy_report
from ...answer import warning
from ...validation import validate_log
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
    given = {name: value for name, value in values.items() if name != "log"}
    answer, warnings = validate_log(values["log"], given, service().lookup)
    return json_reply({**answer, "warnings": [warning(message, language()) for message in warnings]})


@blueprint.get("/accuracy")
@blueprint.response(200, AccuracyAnswer())
def accuracy() -> Response:
    """Our error on published measurements, in the sample of each rule and left out of it."""
    return json_reply(accuracy_report())
