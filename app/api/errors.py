"""One maker for the one error shape; every refusal and failure leaves through it."""

import logging
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

import marshmallow as ma
from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from ..errors import DomainError
from ..messages import Message
from .error_body import error_body as error_body  # also for those who look for it here
from .error_body import status_of
from .replies import json_reply, language
from .traffic import ERROR_CODE, REQUEST_ID

LOG: Final = logging.getLogger("llm_estimate")

# HTTP errors that the framework itself raises: status to our code.
_HTTP_CODES: Final[Mapping[int, str]] = {
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    414: "url_too_long",
    415: "not_json",
    500: "internal_error",
}


class HttpError(DomainError):
    """What goes wrong before or beside a calculation: a status, a stable code, perhaps closest names."""

    def __init__(self, message: Message, status: int, code: str, closest: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.closest = closest


class BadBody(HttpError):
    """A body that could not be read (400, or the status given)."""

    def __init__(self, message: Message, status: int = 400) -> None:
        super().__init__(message, status, _HTTP_CODES.get(status, "invalid_json"))


class ErrorDetail(ma.Schema):
    """One thing to mend."""

    field = ma.fields.String(required=True, metadata={"description": "Dotted path of the field."})
    message = ma.fields.String(required=True)
    code = ma.fields.String(required=True, metadata={"description": "Stable name of what is wrong."})


class ErrorSchema(ma.Schema):
    """Every error looks like this."""

    error = ma.fields.String(required=True, metadata={"description": "One sentence."})
    code = ma.fields.String(required=True, metadata={"description": "Stable name of the error."})
    status = ma.fields.Integer(required=True)
    details = ma.fields.List(ma.fields.Nested(ErrorDetail), required=True)
    closest = ma.fields.List(ma.fields.String(), metadata={"description": "With 404: the likeliest names."})
    request_id = ma.fields.String(required=True)


def _request_id() -> str:
    return str(request.environ.get(REQUEST_ID, ""))


def _reply(error: DomainError, headers: Mapping[str, str] | None = None) -> Response:
    body = error_body(error, language())
    request.environ[ERROR_CODE] = body["code"]
    reply = json_reply({**body, "request_id": _request_id()}, status_of(error))
    reply.headers.extend(dict(headers or {}))
    return reply


def _handle_domain(error: DomainError) -> Response:
    headers = {}
    if status_of(error) in (429, 503):
        headers["Retry-After"] = str(getattr(error, "retry_after", 5))
    if status_of(error) == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return _reply(error, headers)


def _handle_http(error: HTTPException) -> Response:
    status = error.code or 500
    if status < 400:
        return error.get_response()  # type: ignore[return-value]  # a redirect
    message, closest = _http_message(error)
    kept = {
        name: value for name, value in error.get_headers() if name not in ("Content-Type", "Content-Length")
    }
    return _reply(HttpError(message, status, _HTTP_CODES.get(status, "http_error"), closest), kept)


def _http_message(error: HTTPException) -> tuple[Message, tuple[str, ...]]:
    if isinstance(error, NotFound):
        closest = closest_paths(request.path)
        return Message(
            "unknown_path", {"path": request.path[:200], "closest": ", ".join(closest) or "/docs"}
        ), closest
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        return Message("method_not_allowed", {"method": request.method, "allowed": allowed}), ()
    if error.code == 413:
        return Message("body_too_large"), ()
    return Message("http_error", {"status": error.code or 500, "name": error.name}), ()


def closest_paths(path: str) -> tuple[str, ...]:
    """The endpoints whose paths are nearest to one that is not there."""
    known = sorted(
        {rule.rule for rule in current_app.url_map.iter_rules() if not rule.rule.startswith("/docs/")}
    )
    return tuple(get_close_matches(path[:200], known, n=3, cutoff=0.5))


def _handle_unexpected(error: Exception) -> Response:
    LOG.exception("unexpected failure", extra={"request_id": _request_id()})
    return _reply(HttpError(Message("internal_error", {"request_id": _request_id()}), 500, "internal_error"))


def register_error_handlers(app: Flask) -> None:
    """Send everything that is raised through the one maker."""
    app.register_error_handler(DomainError, _handle_domain)
    app.register_error_handler(HTTPException, _handle_http)
    app.register_error_handler(Exception, _handle_unexpected)
