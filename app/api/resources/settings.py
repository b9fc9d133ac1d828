"""The settings that the service runs with, for those who run it."""

from flask import Response, current_app

from ...settings import shown_settings
from ..access import requires
from ..replies import json_reply
from ..schemas.answers import SettingsAnswer
from .blueprints import Blueprint

blueprint = Blueprint(
    "settings", __name__, url_prefix="/api/config", description="What the service runs with"
)


@blueprint.get("/settings")
@requires("admin")
@blueprint.response(200, SettingsAnswer())
def list_settings() -> Response:
    """Every setting: its variable, default, help and value; of a secret, only whether it is set."""
    return json_reply({"settings": shown_settings(current_app.extensions["settings"])})
