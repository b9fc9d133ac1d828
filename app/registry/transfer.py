"""Bounded downloads from the hub: every answer has a size and a time that it cannot pass.

Redirects are followed by hand, only to the endpoint itself or to hosts that are known to serve its files,
and the token goes to the endpoint alone.
"""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, urljoin, urlsplit

from ..errors import HubError, HubNotFound, HubOffline, HubTimeout
from ..messages import Message

if TYPE_CHECKING:
    import requests

# Hosts to which huggingface.co sends for large files.
DOWNLOAD_HOSTS: Final = (
    "cdn-lfs.huggingface.co",
    "cdn-lfs-us-1.huggingface.co",
    "cdn-lfs-eu-1.huggingface.co",
    "cdn-lfs.hf.co",
    "cdn-lfs-us-1.hf.co",
    "cdn-lfs-eu-1.hf.co",
    "cas-bridge.xethub.hf.co",
)
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_MOST_REDIRECTS: Final = 5
_CHUNK: Final = 65536


@dataclass(frozen=True, slots=True)
class Limits:
    """How long anything may take [seconds]: to connect, between two pieces, and in all."""

    connect: float = 5.0
    read: float = 10.0
    total: float = 60.0


@dataclass(frozen=True, slots=True)
class Transfer:
    """One conversation with one endpoint, from its start to the deadline."""

    endpoint: str
    token: str | None = None
    offline: bool = False
    download_hosts: tuple[str, ...] = DOWNLOAD_HOSTS
    limits: Limits = field(default_factory=Limits)
    started: float = field(default_factory=time.monotonic)

    def get(self, path: str, limit: int, span: tuple[int, int] | None = None) -> bytes:
        """A file of at most `limit` bytes, or the bytes `span` of it (first and last, both included).

        A file that ends before the span does gives what it has. Raises `HubError` and its kinds.
        """
        import requests

        if self.offline:
            raise HubOffline(Message("hub_offline"))
        try:
            return self._follow(path, limit, span)
        except requests.Timeout as error:
            raise HubTimeout(Message("hub_timeout", {"path": path})) from error
        except (requests.RequestException, OSError, ValueError) as error:
            raise HubError(Message("hub_unreachable")) from error

    def _follow(self, path: str, limit: int, span: tuple[int, int] | None) -> bytes:
        url = f"{self.endpoint.rstrip('/')}/{path}"
        for _ in range(_MOST_REDIRECTS):
            with self._ask(url, path, span) as answer:
                if answer.status_code not in _REDIRECTS:
                    _check_status(answer.status_code, path, span)
                    return self._body(answer, path, span[1] - span[0] + 1 if span else limit)
                url = self._next(url, answer.headers.get("Location", ""), path)
        raise HubError(Message("hub_redirects", {"path": path}))

    def _ask(self, url: str, path: str, span: tuple[int, int] | None) -> "requests.Response":
        import requests

        headers = {"Accept-Encoding": "identity", "User-Agent": "llm-estimate"}
        if span:
            headers["Range"] = f"bytes={span[0]}-{span[1]}"
        if self.token and _origin(url) == _origin(self.endpoint):
            headers["Authorization"] = f"Bearer {self.token}"
        patience = min(self.limits.read, self._left(path))
        return requests.get(
            url,
            headers=headers,
            timeout=(self.limits.connect, patience),
            allow_redirects=False,
            stream=True,
            auth=lambda request: request,  # nothing from a .netrc file
        )

    def _next(self, url: str, location: str, path: str) -> str:
        """The address of a redirect, if it may be followed."""
        target = urljoin(url, location)
        scheme, host, _ = _origin(target)
        is_home = _origin(target) == _origin(self.endpoint)
        if not location or not (is_home or (host in self.download_hosts and scheme == "https")):
            raise HubError(Message("hub_redirect", {"path": path, "host": host}))
        return target

    def _body(self, answer: "requests.Response", path: str, most: int) -> bytes:
        announced = _length(answer.headers.get("Content-Length"))
        if announced is not None and announced > most:
            raise HubError(Message("hub_too_large", {"path": path, "limit": most}))
        body = self._pieces(answer.raw, path, most)
        if announced is not None and len(body) != announced:
            raise HubError(Message("hub_cut_short", {"path": path}))
        return body

    def _pieces(self, stream: Any, path: str, most: int) -> bytes:
        """Read piece by piece, so that neither a slow nor an endless answer outlasts its bounds."""
        from urllib3.exceptions import HTTPError, ReadTimeoutError

        body = bytearray()
        try:
            while piece := stream.read1(_CHUNK):
                body += piece
                if len(body) > most:
                    raise HubError(Message("hub_too_large", {"path": path, "limit": most}))
                self._left(path)
        except ReadTimeoutError as error:
            raise HubTimeout(Message("hub_timeout", {"path": path})) from error
        except HTTPError as error:
            raise HubError(Message("hub_cut_short", {"path": path})) from error
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


def _origin(url: str) -> tuple[str, str, int | None]:
    parts: SplitResult = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port


def _length(header: str | None) -> int | None:
    return int(header) if header and header.isdecimal() else None
