"""What to run it on."""

from typing import Any

from flask import Response

from ..keeping import kept
from ..limits import limited
from ..replies import json_reply, language
from ..schemas.recommend import RecommendSchema
from ..schemas.recommend_answers import PlanAnswer
from .blueprints import Blueprint, calibrated, service

blueprint = Blueprint("recommend", __name__, url_prefix="/api", description="What to run a model on")


@blueprint.post("/recommend")
@limited("recommend")
@blueprint.arguments(RecommendSchema())
@blueprint.response(200, PlanAnswer())
@kept("recommend")
def recommend(values: dict[str, Any]) -> Response:
    """Options that hold the targets, best first; what was rejected and why; the change that would help."""
    return json_reply(service().recommend(calibrated(values), language()))
