"""Every enumerated field: its values, what each is, its default."""

from flask import Response, current_app

from ..options import Options
from ..replies import json_reply, language
from ..schemas.answers import OptionsAnswer
from .blueprints import Blueprint, service

blueprint = Blueprint("options", __name__, url_prefix="/api/config", description="What fields may hold")


@blueprint.get("/options")
@blueprint.response(200, OptionsAnswer())
def list_options() -> Response:
    """Values, bytes, one line each, and defaults; what is not computed yet is not listed."""
    options: Options = current_app.extensions.setdefault("options", Options(service()))
    return json_reply(options.every(language()))
