"""What holds of every error."""

from typing import Any

from werkzeug.test import TestResponse


def check_error(reply: TestResponse, status: int) -> Any:
    """The one shape, the status said twice, no traceback; returns the body."""
    body = reply.get_json()
    assert reply.status_code == status, body
    assert set(body) >= {"error", "code", "status", "details", "request_id"}
    assert body["status"] == status
    assert body["error"] and "Traceback" not in body["error"]
    assert body["request_id"] == reply.headers["X-Request-ID"]
    assert all(set(detail) >= {"field", "message"} for detail in body["details"])
    return body
