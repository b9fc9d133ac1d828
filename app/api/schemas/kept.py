"""Requests and answers of what the store keeps: history, shares, events."""

import re
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

import marshmallow as ma
from marshmallow import fields as f

from .answers import Answer
from .base import QuerySchema, StrictSchema
from .fields import Integer, Number, Strict, Text, rejected

LARGEST_STATE: Final = 64 * 1024  # [characters] of a shared state
LONGEST_QUERY: Final = 6000  # [characters]: the server reads it in one line again
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
_SAFE: Final = r"[A-Za-z0-9\-._~!$&'()*+,;=:@%/?]*"
_ADDRESS: Final = re.compile(rf"(\?{_SAFE})?(#{_SAFE})?")
_LATEST: Final = 253_402_300_799  # [s]: the end of the year 9999


class State(Strict):
    """The page's query and fragment as they stand in its address, or the fields that make a query."""

    def __init__(self, description: str = "", **options: Any) -> None:
        super().__init__(description, published={"type": ["string", "object"]}, **options)

    def accept(self, value: Any, path: str) -> str:
        if isinstance(value, dict):
            value = _query(value, path)
        if not isinstance(value, str):
            raise rejected(path, "not_text_or_object")
        query, _, _ = value.partition("#")
        if len(value) > LARGEST_STATE or len(query) > LONGEST_QUERY:
            raise rejected(path, "state_too_long", most=LARGEST_STATE, most_query=LONGEST_QUERY)
        if not _ADDRESS.fullmatch(value):
            raise rejected(path, "bad_state")
        return value


def _query(fields: dict[str, Any], path: str) -> str:
    for name, value in fields.items():
        if not isinstance(value, str | int | float):
            raise rejected(f"{path}.{name[:80]}", "not_plain")
    plain = {name: str(each).lower() if isinstance(each, bool) else each for name, each in fields.items()}
    return f"?{urlencode(plain, errors='replace')}" if plain else ""


class ShareSchema(StrictSchema):
    """A state to share."""

    state = State(
        "The page's address behind its path (?query#fragment), or an object of the fields in its query.",
        required=True,
    )


class ShareAnswer(Answer):
    """Where a shared state is."""

    id = f.String(required=True)
    url = f.String(required=True, metadata={"description": "Path below the service."})
    expires_at = f.DateTime(required=True, allow_none=True, metadata={"description": "None: it stays."})


class Name(Text):
    """The name of an event or of its type."""

    def accept(self, value: Any, path: str) -> str:
        name = super().accept(value, path)
        if not _NAME.fullmatch(name):
            raise rejected(path, "bad_event_name")
        return name


class Moment(Strict):
    """A time: ISO 8601 with its zone, or milliseconds since 1970 as a browser's clock gives them."""

    def __init__(self, description: str = "", **options: Any) -> None:
        super().__init__(description, published={"type": ["string", "number"]}, **options)

    def accept(self, value: Any, path: str) -> float:
        seconds = _seconds(value)
        if seconds is None or not 0 <= seconds <= _LATEST:
            raise rejected(path, "bad_moment")
        return seconds


def _seconds(value: Any) -> float | None:
    if type(value) in (int, float):
        return float(value / 1000)
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


class EventSchema(StrictSchema):
    """Something that was used."""

    event = Name("What happened: letters, digits and . _ : -", longest=64, required=True)
    type = Name("Which kind of it.", longest=64)
    duration = Number("How long it took [ms].", most=1e9)
    timestamp = Moment(
        "When: ISO 8601, or milliseconds since 1970; what lies more than 7 days back is counted now."
    )


class SummaryQuery(QuerySchema):
    """Which days are summed up."""

    days = Integer("Days up to today [30].", most=400)


class EventAnswer(Answer):
    """Sums of one event and type."""

    event = f.String(required=True)
    type = f.String(required=True)
    count = f.Integer(required=True)
    mean_duration_ms = f.Float(required=True, allow_none=True)
    longest_duration_ms = f.Float(required=True, allow_none=True)


class DayAnswer(Answer):
    """All events of a day."""

    day = f.Date(required=True)
    count = f.Integer(required=True)


UsageAnswer = ma.Schema.from_dict(
    {
        "from": f.Date(required=True),
        "to": f.Date(required=True),
        "total": f.Integer(required=True),
        "events": f.List(f.Nested(EventAnswer), required=True),
        "days": f.List(f.Nested(DayAnswer), required=True),
    },
    name="UsageAnswer",
)


class HistoryQuery(QuerySchema):
    """Which entries are listed."""

    search = Text("Words that all stand in an entry: model, GPU, runtime.", longest=200)
    kind = Text("Kind of estimate, as `memory_inference`.", longest=64)
    limit = Integer("Most entries listed [50].", most=500)
    offset = Integer("Entries skipped [0].", least=0)


class HistoryLine(Answer):
    """One estimate."""

    id = f.Integer(required=True)
    kind = f.String(required=True)
    created = f.DateTime(required=True)
    request = f.Dict(required=True)
    summary = f.Dict(required=True)


class HistoryAnswer(Answer):
    """Estimates, newest first."""

    entries = f.List(f.Nested(HistoryLine), required=True)
    total = f.Integer(required=True, metadata={"description": "Before limit and offset."})


class ForgottenAnswer(Answer):
    """What was forgotten."""

    deleted = f.Integer(required=True)
