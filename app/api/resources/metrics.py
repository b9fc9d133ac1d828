"""What Prometheus scrapes: counts of all workers together, whichever of them answers."""

from typing import cast

from flask import Response, current_app

from ...messages import Message
from ..access import Forbidden, Unauthorized, identify
from ..metrics import CONTENT_TYPE, Metrics
from .blueprints import Blueprint

blueprint = Blueprint("metrics", __name__, description="Counts for Prometheus")


def _check_reader() -> None:
    """Open on loopback, to holders of any token, and where the setting says so."""
    if current_app.extensions["settings"].metrics_open:
        return
    asking = identify()
    if asking.token_id is not None or "admin" in asking.scopes:
        return
    if current_app.extensions["tokens"].any:
        raise Unauthorized(Message("token_needed", {"scope": "read"}))
    raise Forbidden(Message("metrics_closed"))


@blueprint.get("/metrics")
@blueprint.response(200, {"type": "string"}, content_type="text/plain")
@blueprint.alt_response(401, description="A token is needed.")
@blueprint.alt_response(403, description="The token is not known, or none would do.")
def metrics() -> Response:
    """Requests, times, errors, estimates and caches, in Prometheus' text format."""
    _check_reader()
    found = cast(Metrics, current_app.extensions["metrics"])
    return Response(found.text(), content_type=CONTENT_TYPE)
