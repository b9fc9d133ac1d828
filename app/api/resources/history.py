"""What a token or a browser asked before; there only where a setting turns it on."""

from datetime import UTC, datetime
from typing import Any, Final

from flask import Response, current_app

from ...errors import InvalidRequest, Problem
from ...messages import Message
from ...store import Store
from ..errors import HttpError
from ..keeping import history_owner
from ..links import link, responses
from ..owners import HEADER
from ..replies import json_reply
from ..schemas.kept import ForgottenAnswer, HistoryAnswer, HistoryQuery
from .blueprints import Blueprint

blueprint = Blueprint(
    "history", __name__, url_prefix="/api/history", description="What was asked before, for who asked it"
)
_SETTLE_S: Final = 1.0


@blueprint.get("")
@blueprint.arguments(HistoryQuery(), location="query")
@blueprint.response(200, HistoryAnswer())
@blueprint.alt_response(404, description="History is off.")
@blueprint.doc(**responses(200, forget=link("delete", "/api/history/{id}", {"id": "/entries/0/id"})))
def list_history(query: dict[str, Any]) -> Response:
    """The asker's estimates, newest first."""
    store, owner = _history(), _asker()
    store.behind.settle(_SETTLE_S)
    entries, total = store.history.page(owner, **query)
    lines = [
        {
            "id": each.id,
            "kind": each.kind,
            "created": datetime.fromtimestamp(each.created, UTC).isoformat(timespec="milliseconds"),
            "request": each.request,
            "summary": each.summary,
        }
        for each in entries
    ]
    return json_reply({"entries": lines, "total": total})


@blueprint.delete("")
@blueprint.response(200, ForgottenAnswer())
@blueprint.alt_response(404, description="History is off.")
def forget_history() -> Response:
    """Forget all of the asker's estimates."""
    store, owner = _history(), _asker()
    store.behind.settle(_SETTLE_S)
    return json_reply({"deleted": store.history.clear(owner)})


@blueprint.delete("/<int:id>")
@blueprint.response(204)
@blueprint.alt_response(404, description="History is off, or has no such entry of the asker's.")
def forget_entry(id: int) -> Response:  # noqa: A002
    """Forget one of the asker's estimates."""
    if not 0 < id < 2**63 or not _history().history.delete(_asker(), id):
        raise HttpError(Message("no_history_entry", {"id": id}), 404, "not_found")
    return Response(status=204)


def _history() -> Store:
    store: Store | None = current_app.extensions["history"]
    if store is None:
        raise HttpError(Message("history_off"), 404, "history_off")
    return store


def _asker() -> str:
    """The token or browser that asks; raises `InvalidRequest` where it is neither."""
    owner = history_owner()
    if owner is None:
        message = Message("owner_needed", {"field": HEADER})
        raise InvalidRequest(message, [Problem(HEADER, message)])
    return owner
