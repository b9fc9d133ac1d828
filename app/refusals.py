"""What gunicorn refuses before the application sees it (an overlong line, a header that is none): in the one
error shape, with the headers that every answer has, and without a word of what was sent.
"""

import json
from typing import Any, Final

from gunicorn import util

from .api.traffic import HEADERS, new_request_id
from .messages import Message

_CODES: Final = {414: "url_too_long", 431: "headers_too_large"}


def refuse_in_our_shape() -> None:
    """Let gunicorn refuse as the application does."""
    util.write_error = _write


def _write(connection: Any, status: int, reason: str, _said: str) -> None:
    code = _CODES.get(status, "internal_error" if status >= 500 else "bad_request")
    request_id = new_request_id()
    message = Message(f"http_{code}" if code != "internal_error" else code, {"request_id": request_id})
    body = {"error": message.text(), "code": code, "status": status, "details": [], "request_id": request_id}
    content = json.dumps(body).encode()
    lines = [
        f"HTTP/1.1 {status} {reason}",
        "Connection: close",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        f"X-Request-ID: {request_id}",
        *(f"{name}: {value}" for name, value in HEADERS),
    ]
    util.write_nonblock(connection, "\r\n".join([*lines, "", ""]).encode("latin-1") + content)
