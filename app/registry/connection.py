"""One GET over a connection to a checked address: the name decides certificate and Host, never the route.

No proxies but a set one, no cookies, no redirects, no decompression, no credentials but those given; and a
deadline that holds whatever the other side does, since the connection is cut when it passes.
"""

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Final
from urllib.parse import SplitResult, urlsplit

from .addresses import Addresses

PORTS: Final[Mapping[str, int]] = {"https": 443, "http": 80}
# What reading from a connection that misbehaves raises.
FAILURES: Final = (HTTPException, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class Route:
    """How the hub is reached: checked addresses, authorities that are trusted, perhaps a proxy for https."""

    addresses: Addresses = field(default_factory=Addresses)
    authorities: str | None = None  # file of certificates; None takes those of certifi
    proxy: str | None = None  # http://host:port, which resolves names by itself


@contextmanager
def opened(
    url: str, headers: Mapping[str, str], route: Route, connect: float, read: float, left: float
) -> Iterator[HTTPResponse]:
    """The answer to one GET, its body not yet read; times [seconds] to connect, between pieces and in all.

    Raises `HubError` for an address that may not be asked, and what `FAILURES` lists.
    """
    parts = urlsplit(url)
    host, port = place(parts)
    stream = _connect(parts, route, min(connect, left))
    handle = stream.dup()
    cut = threading.Timer(left, _cut, (handle,))
    cut.daemon = True
    cut.start()
    try:
        if parts.scheme == "https":
            if route.proxy:
                _tunnel(stream, host, port)
            stream = trust(route.authorities).wrap_socket(stream, server_hostname=host)
        stream.settimeout(min(read, left))
        asking = HTTPConnection(host, port)
        asking.sock = stream
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        asking.request("GET", target, headers={"Host": _host_header(parts), **headers})
        with asking.getresponse() as answer:
            yield answer
    finally:
        cut.cancel()
        handle.close()
        stream.close()


def place(parts: SplitResult) -> tuple[str, int]:
    """Host and port of an address; raises ValueError for a port that is none."""
    return (parts.hostname or "").rstrip("."), parts.port or PORTS.get(parts.scheme, 0)


@lru_cache(maxsize=2)
def trust(authorities: str | None) -> ssl.SSLContext:
    """What certificates are checked against."""
    import certifi

    context = ssl.create_default_context(cafile=authorities or certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _host_header(parts: SplitResult) -> str:
    host, port = place(parts)
    name = f"[{host}]" if ":" in host else host
    return name if port == PORTS[parts.scheme] else f"{name}:{port}"


def _connect(parts: SplitResult, route: Route, patience: float) -> socket.socket:
    """A connection to the first address of the name, or to the proxy, that takes one."""
    if route.proxy and parts.scheme == "https":
        return socket.create_connection(place(urlsplit(route.proxy)), patience)
    host, port = place(parts)
    failed: OSError | None = None
    for address in route.addresses.of(host, port, patience):
        try:
            return socket.create_connection((address, port), patience)
        except OSError as error:
            failed = error
    raise failed or OSError("no address")


def _tunnel(stream: socket.socket, host: str, port: int) -> None:
    name = f"[{host}]" if ":" in host else host
    stream.sendall(f"CONNECT {name}:{port} HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n".encode("ascii"))
    answer = HTTPResponse(stream, method="CONNECT")
    answer.begin()
    if answer.status != 200:
        raise OSError("the proxy refused")


def _cut(stream: socket.socket) -> None:
    """End a connection under whoever reads from it."""
    try:
        stream.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
