"""A small hub on loopback that can be told to misbehave."""

import gzip
import json
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TLS = Path(__file__).parent / "tls"  # a certificate for hub.test that signs itself
Answer = Callable[["Handler"], None]


@dataclass
class FakeHub:
    """Files by path, special answers by path, and the requests that came."""

    files: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # that TLS connections asked for
    endpoint: str = ""
    stop: threading.Event = field(default_factory=threading.Event)

    def put(self, repo: str, file: str, content: bytes | dict[str, Any], revision: str = "main") -> str:
        """Offer a file of a repository; its path."""
        path = f"/{repo}/resolve/{revision}/{file}"
        self.files[path] = json.dumps(content).encode() if isinstance(content, dict) else content
        return path

    def tokens(self) -> list[str | None]:
        return [headers.get("Authorization") for _, headers in self.seen]


class Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.hub.seen.append((self.path, dict(self.headers)))
        special = self.hub.answers.get(self.path)
        if special:
            special(self)
        elif self.path in self.hub.files:
            self.send_file(self.hub.files[self.path])
        else:
            self.send(404)

    def send_file(self, content: bytes) -> None:
        span = self.headers.get("Range")
        if not span:
            return self.send(200, content)
        first, last = (int(each) for each in span.removeprefix("bytes=").split("-"))
        return self.send(206, content[first : last + 1])

    def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running(tls: bool = False) -> Iterator[FakeHub]:
    """A hub that answers until the block ends; with `tls` it is hub.test, under a certificate of its own."""
    hub = FakeHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS / "hub.pem", TLS / "hub.key")
        context.sni_callback = lambda _socket, name, _context: hub.names.append(name)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        hub.endpoint = f"https://hub.test:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield hub
    finally:
        hub.stop.set()
        server.shutdown()
        server.server_close()


def safetensors(tensors: dict[str, Any], padding: int = 0) -> bytes:
    """The beginning of a safetensors file: its length and header, no weights."""
    header = json.dumps(tensors).encode() + b" " * padding
    return struct.pack("<Q", len(header)) + header + b"\0" * 16


def tensor(dtype: str, shape: list[int], size: int, begin: int = 0) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, begin + size]}


def status(code: int) -> Answer:
    return lambda handler: handler.send(code)


def redirect(target: str) -> Answer:
    return lambda handler: handler.send(302, Location=target)


def hang(handler: Handler) -> None:
    """Take the request and never answer."""
    handler.hub.stop.wait(5)
    handler.close_connection = True


def drip(handler: Handler) -> None:
    """Send a byte now and then, so that no single read times out."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    while not handler.hub.stop.is_set():
        try:
            handler.wfile.write(b" ")
        except OSError:
            return
        time.sleep(0.05)


def endless(handler: Handler) -> None:
    """Send without saying how much, and never end."""
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.close_connection = True
    try:
        while not handler.hub.stop.is_set():
            handler.wfile.write(b" " * 65536)
    except OSError:
        return


def cut_short(handler: Handler) -> None:
    """Announce more than is sent."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"{}")
    handler.close_connection = True


def ignores_ranges(handler: Handler) -> None:
    handler.send(200, handler.hub.files[handler.path])


def zipped(handler: Handler) -> None:
    """A little that unpacks to a lot, though nothing packed was asked for."""
    handler.send(200, gzip.compress(b" " * 1_000_000), Content_Encoding="gzip")


def _flood(handler: Handler, start: bytes, more: bytes) -> None:
    """Send something, then something else for ever, as fast as it is taken."""
    handler.close_connection = True
    try:
        handler.wfile.write(start)
        while not handler.hub.stop.is_set():
            handler.wfile.write(more)
    except OSError:
        return


def endless_chunks(handler: Handler) -> None:
    _flood(handler, _CHUNKED, b"4000\r\n" + b" " * 0x4000 + b"\r\n")


def endless_chunk_size(handler: Handler) -> None:
    _flood(handler, _CHUNKED, b"0" * 65536)


def endless_trailers(handler: Handler) -> None:
    _flood(handler, _CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-More: 1\r\n" * 100)


def endless_headers(handler: Handler) -> None:
    _flood(handler, b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n" * 100)


def endless_continues(handler: Handler) -> None:
    _flood(handler, b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def no_http(handler: Handler) -> None:
    handler.close_connection = True
    handler.wfile.write(b"\x16\x03\x01 220 mail.example ESMTP\r\n")


def negative_length(handler: Handler) -> None:
    handler.send(200, b"{}", Content_Length="-1", Connection="close")
    handler.close_connection = True


_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
