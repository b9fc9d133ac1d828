"""Bounded downloads from the hub: every answer has a size and a time that it cannot pass.

Redirects are followed by hand, only to the endpoint itself or to hosts that are known to serve its files,
each to an address that was checked; the token goes to the endpoint alone.
"""

import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPResponse
from typing import Final
from urllib.parse import urljoin, urlsplit

from ..errors import HubError, HubNotFound, HubOffline, HubTimeout
from ..messages import Message
from .connection import FAILURES, Route, opened, place

_REDIRECTS: Final = (301, 302, 303, 307, 308)
MOST_REDIRECTS: Final = 3
MOST_IN_ALL: Final = 256 * 2**20  # [bytes] of one conversation
_CHUNK: Final = 65536


@dataclass(frozen=True, slots=True)
class Limits:
    """How long anything may take [seconds]: to connect, between two pieces, and in all."""

    connect: float = 5.0
    read: float = 10.0
    total: float = 60.0


class _Allowance:
    """Bytes that one conversation may still receive, whichever thread receives them."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._lock = threading.Lock()

    def take(self, count: int) -> bool:
        with self._lock:
            self._left -= count
            return self._left >= 0


@dataclass(frozen=True, slots=True)
class Transfer:
    """One conversation with one endpoint, from its start to the deadline.

    A download host is a name, or `*.` and the end of names.
    """

    endpoint: str
    token: str | None = field(default=None, repr=False)
    offline: bool = False
    download_hosts: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    route: Route = field(default_factory=Route)
    started: float = field(default_factory=time.monotonic)
    allowance: _Allowance = field(default_factory=lambda: _Allowance(MOST_IN_ALL))

    def get(self, path: str, limit: int, span: tuple[int, int] | None = None) -> bytes:
        """A file of at most `limit` bytes, or the bytes `span` of it (first and last, both included).

        A file that ends before the span does gives what it has. Raises `HubError` and its kinds.
        """
        if self.offline:
            raise HubOffline(Message("hub_offline"))
        try:
            return self._follow(path, limit, span)
        except TimeoutError as error:
            raise HubTimeout(Message("hub_timeout", {"path": path})) from error
        except FAILURES as error:
            self._left(path)  # a connection that was cut at the deadline fails in any way
            raise HubError(Message("hub_unreachable")) from error

    def _follow(self, path: str, limit: int, span: tuple[int, int] | None) -> bytes:
        url = f"{self.endpoint.rstrip('/')}/{path}"
        most = span[1] - span[0] + 1 if span else limit
        for _ in range(MOST_REDIRECTS + 1):
            limits = self.limits
            with opened(
                url, self._headers(url, span), self.route, limits.connect, limits.read, self._left(path)
            ) as answer:
                if answer.status not in _REDIRECTS:
                    _check_status(answer.status, path, span)
                    return self._body(answer, path, most)
                url = self._next(url, answer.headers.get("Location", ""), path)
        raise HubError(Message("hub_redirects", {"path": path}))

    def _headers(self, url: str, span: tuple[int, int] | None) -> dict[str, str]:
        headers = {
            "Accept-Encoding": "identity",
            "User-Agent": "llm-estimate",
            "Connection": "close",
            "Accept": "*/*",
        }
        if span:
            headers["Range"] = f"bytes={span[0]}-{span[1]}"
        if self.token and _origin(url) == _origin(self.endpoint):
            headers["Authorization"] = f"Bearer {self.token}"
        return headers

    def _next(self, url: str, location: str, path: str) -> str:
        """The address of a redirect, if it may be followed."""
        target = urljoin(url, location)
        scheme, host, port = _origin(target)
        is_home = _origin(target) == _origin(self.endpoint)
        is_listed = scheme == "https" and port == 443 and _is_listed(host, self.download_hosts)
        if not location or "@" in urlsplit(target).netloc or not (is_home or is_listed):
            raise HubError(Message("hub_redirect", {"path": path, "host": host[:253]}))
        return target

    def _body(self, answer: HTTPResponse, path: str, most: int) -> bytes:
        """Read piece by piece, so that neither a slow nor an endless answer outlasts its bounds."""
        encoding = answer.headers.get("Content-Encoding", "identity")
        if encoding.strip().casefold() != "identity":
            raise HubError(Message("hub_encoded", {"path": path, "encoding": encoding[:40]}))
        announced = _length(answer.headers.get("Content-Length"))
        if announced is not None and announced > most:
            raise HubError(Message("hub_too_large", {"path": path, "limit": most}))
        body = bytearray()
        while piece := answer.read1(_CHUNK):
            body += piece
            if len(body) > most or not self.allowance.take(len(piece)):
                raise HubError(Message("hub_too_large", {"path": path, "limit": most}))
            self._left(path)
        self._left(path)
        if announced is not None and len(body) != announced:
            raise HubError(Message("hub_cut_short", {"path": path}))
        return bytes(body)

    def _left(self, path: str) -> float:
        """Time until the deadline [seconds]; raises `HubTimeout` when it has passed."""
        left = self.started + self.limits.total - time.monotonic()
        if left <= 0:
            raise HubTimeout(Message("hub_timeout", {"path": path}))
        return left


def _check_status(status: int, path: str, span: tuple[int, int] | None) -> None:
    if status in (200, 206):
        if (status == 206) != (span is not None):
            raise HubError(Message("hub_no_ranges", {"path": path}))
        return
    if status == 404:
        raise HubNotFound(Message("hub_not_found", {"path": path}))
    code = "hub_denied" if status in (401, 403) else "hub_status"
    raise HubError(Message(code, {"path": path, "status": status}))


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    host, port = place(parts)
    return parts.scheme, host, port


def _is_listed(host: str, listed: tuple[str, ...]) -> bool:
    """Whether a host is one of those listed.

    >>> _is_listed("us.cdn.example", ("*.cdn.example",)), _is_listed("cdn.example", ("*.cdn.example",))
    (True, False)
    """
    return any(host == each or (each.startswith("*.") and host.endswith(each[1:])) for each in listed)


def _length(header: str | None) -> int | None:
    return int(header) if header and header.isascii() and header.isdecimal() and len(header) < 20 else None
