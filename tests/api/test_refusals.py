"""What is refused before the application sees it: byte by byte over a real socket, in the one error shape."""

import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from test_api import running

HOST = b"Host: localhost\r\n"


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with running(LLM_ESTIMATE_WORKERS="1", LLM_ESTIMATE_ACCESS_LOG="false") as url:
        parts = urlsplit(url)
        yield str(parts.hostname), int(parts.port or 0)


def send(address: tuple[str, int], request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the first answer."""
    with socket.create_connection(address, 60) as connection:
        connection.sendall(request)
        answer = connection.makefile("rb")
        status = int(answer.readline().split()[1])
        lines = iter(lambda: answer.readline().decode("latin-1").strip(), "")
        headers = dict(line.split(": ", 1) for line in lines)
        return status, headers, answer.read(int(headers["Content-Length"]))


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "url_too_long"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 9000 + b"\r\n\r\n", 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 120 + b"\r\n", 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X Y: a\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n", 400, "bad_request"),
        (b"<script> / HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
        (b"GET / HTTP/7.0\r\n" + HOST + b"\r\n", 400, "bad_request"),
        (b"POST /api/memory/inference HTTP/1.1\r\n" + HOST
         + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400, "bad_request"),
        (b"POST /api/memory/inference HTTP/1.1\r\n" + HOST
         + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400, "bad_request"),
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused_in_the_one_shape(
    address: tuple[str, int], request_bytes: bytes, status: int, code: str
) -> None:
    found, headers, content = send(address, request_bytes)
    body = json.loads(content)
    assert (found, body["status"], body["code"]) == (status, status, code)
    assert body["request_id"] == headers["X-Request-ID"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert b"script" not in content


def test_a_body_without_a_length_is_bounded_too(address: tuple[str, int]) -> None:
    head = b"POST /api/memory/inference HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
    body = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    found, _, content = send(address, head + b"Transfer-Encoding: chunked\r\n\r\n" + body * 17 + b"0\r\n\r\n")
    assert (found, json.loads(content)["code"]) == (413, "body_too_large")
