"""Whether the process runs and whether it can answer."""

import time
from datetime import UTC, datetime
from typing import Any, Final

from flask import Response, current_app

from ...version import VERSION
from ..replies import json_reply
from ..schemas.answers import HealthAnswer
from .blueprints import Blueprint, service

blueprint = Blueprint("health", __name__, description="Whether the service runs")
_STARTED: Final = time.monotonic()
_SERVING: Final = ("ok", "degraded")


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
    """The process runs; nothing is looked at."""
    return json_reply(_health("ok"))


@blueprint.get("/health/ready")
@blueprint.response(200, HealthAnswer())
@blueprint.alt_response(503, schema=HealthAnswer(), description="Send no requests here, or not yet.")
def ready() -> Response:
    """Whether to send requests here. A store that goes away after it answered once is no reason not to."""
    status, failures = _readiness()
    return json_reply(_health(status, failures=failures), 200 if status in _SERVING else 503)


def _readiness() -> tuple[str, list[str]]:
    """What `status` says, and what is wrong. Estimates need no store, so they go on without one."""
    failures = service().failures()
    answered_once = current_app.extensions["store_answered"]
    if current_app.extensions.get("draining", bool)():
        return "draining", failures
    if not failures:
        answered_once.set()
        return "ok", []
    return "unavailable" if "registry" in failures or not answered_once else "degraded", failures
