"""Whether the process runs and whether it can answer."""

import time
from datetime import UTC, datetime
from typing import Any, Final

from flask import Response

from ...version import VERSION
from ..replies import json_reply
from ..schemas.answers import HealthAnswer
from .blueprints import Blueprint, service

blueprint = Blueprint("health", __name__, description="Whether the service runs")
_STARTED: Final = time.monotonic()


def _health(status: str, **more: Any) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    uptime = round(time.monotonic() - _STARTED, 3)
    return {"status": status, "timestamp": now, "version": VERSION, "uptime": uptime, **more}


@blueprint.get("/health")
@blueprint.response(200, HealthAnswer())
def health() -> Response:
    """Status, version and uptime [s]."""
    return json_reply(_health("ok"))


@blueprint.get("/api/health")
@blueprint.response(200, HealthAnswer())
def api_health() -> Response:
    """The same below /api."""
    return json_reply(_health("ok"))


@blueprint.get("/health/live")
@blueprint.response(200, HealthAnswer())
def live() -> Response:
    """The process runs."""
    return json_reply(_health("ok"))


@blueprint.get("/health/ready")
@blueprint.response(200, HealthAnswer())
@blueprint.alt_response(503, schema=HealthAnswer(), description="Something that answers need is missing.")
def ready() -> Response:
    """The registry is loaded and the store answers."""
    failures = service().failures()
    return json_reply(
        _health("unavailable" if failures else "ok", failures=failures), 503 if failures else 200
    )
