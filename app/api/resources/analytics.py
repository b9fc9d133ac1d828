"""What is used how often: counted by the hour, with nothing about who."""

import time
from datetime import UTC, datetime
from typing import Any, Final

from flask import Response, current_app

from ...messages import Message
from ...store import Store
from ...store.records import DAY, HOUR, EventKey, EventLine, EventSum
from ..errors import HttpError
from ..limits import limited
from ..replies import json_reply
from ..schemas.kept import EventSchema, SummaryQuery, UsageAnswer
from .blueprints import Blueprint, service

blueprint = Blueprint(
    "analytics", __name__, url_prefix="/api/analytics", description="What is used how often, by nobody"
)

_OLDEST: Final = 7 * DAY  # an event that is said to be older, or to come, is counted now
_DAYS: Final = 30


@blueprint.post("")
@limited("analytics")
@blueprint.arguments(EventSchema())
@blueprint.response(202, description="Counted, soon.")
@blueprint.alt_response(404, description="Events are not counted here.")
def count(values: dict[str, Any]) -> Response:
    """Count an event; only sums over an hour are kept."""
    now = time.time()
    said = values.get("timestamp", now)
    moment = said if now - _OLDEST <= said <= now else now
    key = EventKey(int(moment // HOUR), values["event"], values.get("type", ""))
    _counting().behind.count(key, EventSum.one(values.get("duration")))
    return Response(status=202)


@blueprint.get("/summary")
@blueprint.arguments(SummaryQuery(), location="query")
@blueprint.response(200, UsageAnswer())
@blueprint.alt_response(404, description="Events are not counted here.")
def summary(query: dict[str, Any]) -> Response:
    """Events of the last days: by name and type, and by day."""
    store = _counting()
    store.behind.settle()
    last = int(time.time() // HOUR)
    first = (last // 24 - query.get("days", _DAYS) + 1) * 24
    days = store.events.days(first, last)
    answer = {
        "from": _day(first // 24),
        "to": _day(last // 24),
        "total": sum(each.count for each in days),
        "events": [_line(each) for each in store.events.lines(first, last)],
        "days": [{"day": _day(each.day), "count": each.count} for each in days],
    }
    return json_reply(answer)


def _counting() -> Store:
    if not current_app.extensions["settings"].analytics:
        raise HttpError(Message("analytics_off"), 404, "analytics_off")
    return service().store


def _line(line: EventLine) -> dict[str, Any]:
    sums = line.sums
    return {
        "event": line.event,
        "type": line.type,
        "count": sums.count,
        "mean_duration_ms": round(sums.duration / sums.timed, 3) if sums.timed else None,
        "longest_duration_ms": sums.longest if sums.timed else None,
    }


def _day(day: int) -> str:
    return datetime.fromtimestamp(day * DAY, UTC).date().isoformat()
