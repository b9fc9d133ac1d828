"""Around every request: an id, security headers, and one JSON line in the log."""

import logging
import re
import sys
import time
from random import getrandbits  # names requests; no secret, and reseeded in every worker
from typing import Any, Final

import orjson
from flask import Flask, Response, g, request

LOG: Final = logging.getLogger("llm_estimate.access")
_GOOD_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_CLOSED_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"


class JsonLines(logging.Formatter):
    """Each record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's time, level and fields; a dict as message is taken as fields."""
        fields = record.msg if isinstance(record.msg, dict) else {"event": record.getMessage()}
        line = {"time": round(record.created, 3), "level": record.levelname.lower(), **fields}
        if request_id := getattr(record, "request_id", None):
            line["request_id"] = request_id
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def log_as_json(access_log: bool) -> None:
    """Send the service's log to stderr as JSON lines, once, whatever else configures logging."""
    logger = logging.getLogger("llm_estimate")
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines())
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    LOG.disabled = not access_log


def _begin() -> None:
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if given and _GOOD_ID.fullmatch(given) else f"{getrandbits(64):016x}"
    g.started = time.perf_counter()


def _finish(reply: Response) -> Response:
    headers = reply.headers
    headers["X-Request-ID"] = request_id = g.request_id
    for name, value in _HEADERS.items():
        headers[name] = value
    if "Content-Security-Policy" not in headers:
        headers["Content-Security-Policy"] = _CLOSED_POLICY
    if not LOG.disabled:
        _log(
            {
                "event": "request",
                "request_id": request_id,
                "method": request.method,
                "path": request.path,
                "status": reply.status_code,
                "ms": round((time.perf_counter() - g.started) * 1000, 3),
            }
        )
    return reply


def _log(fields: dict[str, Any]) -> None:
    """A record made by hand: `Logger.info` would look for its caller's line at every request."""
    LOG.handle(LOG.makeRecord(LOG.name, logging.INFO, "", 0, fields, (), None))


def watch_traffic(app: Flask) -> None:
    """Put id, headers and log around every request of the application."""
    app.before_request(_begin)
    app.after_request(_finish)
