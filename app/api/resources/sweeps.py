"""Grids of points: small ones at once, larger ones in the background."""

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from flask import Response, current_app, url_for

from ...sweeps import CONTENT_TYPES
from ..access import writes
from ..errors import ErrorSchema
from ..limits import limited
from ..owners import owner_of
from ..replies import json_reply
from ..schemas.sweeps import POINTS, ResultQuery, SweepAnswer, SweepRowsAnswer, SweepSchema
from .blueprints import Blueprint, calibrated, service

if TYPE_CHECKING:
    from ...sweeps.desk import Desk

blueprint = Blueprint("sweeps", __name__, url_prefix="/api/sweeps", description="Grids of points")


_BINARY = {"schema": {"type": "string", "format": "binary"}}


def _desk() -> "Desk":
    from ...sweeps.desk import Desk  # when first asked: a service is to answer soon after its start

    return Desk(service(), current_app.extensions["settings"])


@blueprint.post("")
@writes
@limited("sweeps")
@blueprint.arguments(SweepSchema())
@blueprint.response(200, SweepRowsAnswer())
@blueprint.alt_response(202, schema=SweepAnswer())
def ask(values: dict[str, Any]) -> Response:
    """Every combination of what varies: up to 1000 points at once (200), more in the background (202)."""
    check = POINTS[values["calculation"]].load
    answer = _desk().ask(values, check, calibrated, owner_of() or "")
    if "rows" in answer:
        return json_reply(answer)
    reply = json_reply(answer, 202)
    reply.headers["Location"] = url_for("sweeps.state", id=answer["id"])
    return reply


@blueprint.get("/<id>")
@blueprint.response(200, SweepAnswer())
def state(id: str) -> Response:  # noqa: A002
    """How far a sweep is."""
    return json_reply(_desk().state(id))


@blueprint.get("/<id>/result")
@blueprint.arguments(ResultQuery(), location="query")
@blueprint.response(200)
@blueprint.doc(responses={"200": {"content": dict.fromkeys(CONTENT_TYPES.values(), _BINARY)}})
@blueprint.alt_response(409, schema=ErrorSchema())
def result(query: dict[str, Any], id: str) -> Response:  # noqa: A002
    """The rows of a sweep that is done, as JSON lines or Parquet, streamed."""
    found = _desk().result(id, query.get("format", "ndjson"))
    reply = Response(_begun(found.chunks), content_type=found.content_type)
    reply.headers["Content-Disposition"] = f'attachment; filename="{found.name}"'
    return reply


@blueprint.delete("/<id>")
@writes
@blueprint.response(204)
def forget(id: str) -> Response:  # noqa: A002
    """Cancel a sweep, or forget one that is done."""
    _desk().forget(id)
    return Response(status=204)


def _begun(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """A stream whose first bytes are there, so that a store that is down is said before anything is sent."""
    return chain([next(chunks, b"")], chunks)
