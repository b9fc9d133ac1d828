"""The page's state under a short address."""

import re
import time
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

from flask import Response

from ...messages import Message
from ...store.records import Share
from ..access import requires
from ..errors import HttpError
from ..links import link, responses
from ..replies import json_reply
from ..schemas.kept import ShareAnswer, ShareSchema
from .blueprints import Blueprint, service

blueprint = Blueprint("shares", __name__, description="The page's state under a short address")

_DAY: Final = 86_400  # [s]
_ID: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_LONGEST_HEADER: Final = 2000  # [bytes] of an address that every proxy passes on in a header
_PAGE: Final = (
    '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url={0}">'
    '<title>llm-estimate</title><a href="{0}">llm-estimate</a></html>'
)


@blueprint.post("/api/shares")
@requires("write")
@blueprint.arguments(ShareSchema())
@blueprint.response(201, ShareAnswer())
@blueprint.doc(**responses(201, open=link("get", "/s/{id}", {"id": "/id"})))
def share(values: dict[str, Any]) -> Response:
    """Keep a state of the page; its address cannot be guessed."""
    days = service().store.retention.share_days
    made = service().store.shares.add(values["state"], days * _DAY if days else None)
    return json_reply({"id": made.id, "url": f"/s/{made.id}", "expires_at": _moment(made.expires)}, 201)


@blueprint.get("/s/<id>")
@blueprint.response(302, description="To the page with that state.")
@blueprint.alt_response(200, description="The same as a page, where the address is too long for a header.")
@blueprint.alt_response(404, description="There is no such share.")
@blueprint.alt_response(410, description="The share has expired.")
def open_share(id: str) -> Response:  # noqa: A002
    """Open the page with a shared state."""
    address = f"/{_share(id).state}"
    if len(address) <= _LONGEST_HEADER:
        return Response(status=302, headers={"Location": address, "Cache-Control": "no-store"})
    page = _PAGE.format(escape(address))
    return Response(page, content_type="text/html; charset=utf-8", headers={"Cache-Control": "no-store"})


def _share(id: str) -> Share:  # noqa: A002
    found = service().store.shares.get(id) if _ID.fullmatch(id) else None
    if found is None:
        raise HttpError(Message("unknown_share"), 404, "not_found")
    if not found.valid_at(time.time()):
        raise HttpError(Message("share_expired"), 410, "gone")
    return found


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
