"""Around every request: an id, security headers, one JSON line in the log, and the counts of it."""

import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from random import getrandbits  # names requests; no secret, and reseeded in every worker
from typing import TYPE_CHECKING, Any, Final

import orjson
from flask import Flask

from . import patience
from .metrics import Metrics

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_STDERR: Final = 2
_GOOD_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
HEADERS: Final = (  # of every answer
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
_POLICY: Final = "Content-Security-Policy"
_CLOSED: Final = "default-src 'none'; frame-ancestors 'none'"  # where a page says nothing else
REQUEST_ID: Final = "llm_estimate.request_id"  # of the request, in its environment
ERROR_CODE: Final = "llm_estimate.error_code"  # of the answer, where it is an error
_LONGEST_METHOD, _LONGEST_PATH = 20, 500  # [characters] of one in the log
_SECRET_PATHS: Final = re.compile(r"(/s/|/api/shares/).+")  # whoever knows the rest of it may read


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


def log_as_json() -> None:
    """Send the service's log to stderr as JSON lines, once, whatever else configures logging."""
    logger = logging.getLogger("llm_estimate")
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines())
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


class Traffic:
    """WSGI middleware: costs a request a few microseconds, where hooks of the framework take tens."""

    def __init__(self, application: "WSGIApplication", metrics: Metrics, access_log: bool) -> None:
        self.application = application
        self.metrics = metrics
        self.access_log = access_log

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Serve one request."""
        started = time.perf_counter()
        environ[REQUEST_ID] = request_id = _request_id(environ.get("HTTP_X_REQUEST_ID", ""))

        def start(status: str, headers: list[tuple[str, str]], failure: Any = None) -> Callable[..., Any]:
            seconds = time.perf_counter() - started
            code = environ.get(ERROR_CODE)
            self.metrics.request(_route(environ), environ["REQUEST_METHOD"], status[:3], seconds, code)
            if self.access_log:
                _log(environ, request_id, status, seconds)
            closed = () if any(name == _POLICY for name, _ in headers) else ((_POLICY, _CLOSED),)
            return start_response(
                status, [*headers, ("X-Request-ID", request_id), *HEADERS, *closed], failure
            )

        try:
            return self.application(environ, start)
        finally:
            patience.end()  # the thread goes on to something else


def _request_id(given: str) -> str:
    """The caller's own id where it is a plain one, else a new one."""
    return given if given and _GOOD_ID.fullmatch(given) else new_request_id()


def new_request_id() -> str:
    """An id for a request that brought none."""
    return f"{getrandbits(64):016x}"


def _route(environ: "WSGIEnvironment") -> str | None:
    """The route that Flask found for the request, if it found one."""
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    return rule.rule if rule else None


def _shown_path(environ: "WSGIEnvironment") -> str:
    """The path without what must not be read in a log; queries are never logged."""
    path = environ.get("PATH_INFO", "").encode("latin-1").decode(errors="replace")[:_LONGEST_PATH]
    return _SECRET_PATHS.sub(r"\1…", path)


def _log(environ: "WSGIEnvironment", request_id: str, status: str, seconds: float) -> None:
    """A line made by hand: a record of `logging` costs several times as much, at every request.

    It is written whole at once, so that the lines of several workers never mix. One that cannot be written
    is lost, for no answer shall fail because a disk is full.
    """
    fields = {
        "time": round(time.time(), 3),
        "level": "info",
        "event": "request",
        "request_id": request_id,
        "method": environ["REQUEST_METHOD"][:_LONGEST_METHOD],
        "path": _shown_path(environ),
        "status": int(status[:3]),
        "ms": round(seconds * 1000, 3),
    }
    with suppress(OSError):
        os.write(_STDERR, orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE))


def watch_traffic(app: Flask, metrics: Metrics, access_log: bool) -> None:
    """Put id, headers, counts and, if wanted, a line in the log around every request of the application."""
    app.wsgi_app = Traffic(app.wsgi_app, metrics, access_log)  # type: ignore[method-assign]
