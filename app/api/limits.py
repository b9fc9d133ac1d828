"""How often one client may ask for what is dear: requests a minute by kind, everything else without limit.

A handler says what it is with `@limited(kind)`; what is dear only for some bodies calls `spend(kind)`. Counts
are kept in the process, or in Redis where replicas share them; while Redis is away each process counts for
itself, and requests go on. A window is a minute of the clock: one count and no list per client and kind.
Requests from this machine itself are never counted, unless the settings tell of a proxy in front.
"""

import ipaddress
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Final, ParamSpec, Protocol, TypeVar

from flask import current_app, request

from ..errors import DomainError
from ..messages import Message
from ..settings import Settings

if TYPE_CHECKING:
    from redis import Redis

P = ParamSpec("P")
R = TypeVar("R")

LOG: Final = logging.getLogger("llm_estimate")
KINDS: Final = ("recommend", "sweeps", "simulate", "hub", "inspect", "analytics")
WINDOW: Final = 60  # [s]
_MOST_KEYS: Final = 100_000  # clients of one window that a process remembers
_REDIS_PATIENCE: Final = 0.25  # [s] for a connection and for an answer
_REDIS_PAUSE: Final = 5.0  # [s] before Redis is asked again after it failed


class TooManyRequests(DomainError):
    """The client has used up its minute (429)."""

    code = "too_many_requests"
    status = 429

    def __init__(self, kind: str, limit: int, retry_after: int) -> None:
        super().__init__(Message("too_many_requests", {"kind": kind, "limit": limit, "seconds": retry_after}))
        self.retry_after = retry_after


class Counts(Protocol):
    """Something that counts by key and window."""

    def add(self, key: str, window: int) -> int:
        """Count one more; how many there are now."""


class OwnCounts:
    """Counts of this process, of the running window only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._window = 0
        self._counts: Counter[str] = Counter()

    def add(self, key: str, window: int) -> int:
        """Count one more; a new window, or too many keys, starts over."""
        with self._lock:
            if window != self._window or len(self._counts) >= _MOST_KEYS:
                self._window = window
                self._counts.clear()
            self._counts[key] += 1
            return self._counts[key]


class SharedCounts:
    """Counts in Redis; each process's own while Redis does not answer."""

    def __init__(self, url: str) -> None:
        self._redis, self._failure = _client(url)
        self._own = OwnCounts()
        self._ask_again = 0.0

    def add(self, key: str, window: int) -> int:
        """Count one more where Redis is, else here."""
        if time.monotonic() >= self._ask_again:
            try:
                return self._shared(f"llm_estimate:rate:{window}:{key}")
            except self._failure as error:
                self._ask_again = time.monotonic() + _REDIS_PAUSE
                LOG.warning("Redis does not answer, limits are counted by process: %s", type(error).__name__)
        return self._own.add(key, window)

    def _shared(self, name: str) -> int:
        pipe = self._redis.pipeline(transaction=False)
        pipe.incr(name)
        pipe.expire(name, 2 * WINDOW)
        return int(pipe.execute()[0])


def _client(url: str) -> "tuple[Redis, type[Exception]]":
    """A client that gives up soon and tries once, and the error it fails with."""
    try:
        from redis import Redis, RedisError
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise ValueError('REDIS_URL needs the extra: pip install "llm-estimate[redis]"') from error
    client = Redis.from_url(
        url,
        socket_timeout=_REDIS_PATIENCE,
        socket_connect_timeout=_REDIS_PATIENCE,
        retry=Retry(NoBackoff(), 0),
    )
    return client, RedisError


class Limits:
    """The limits of one application."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        if unknown := sorted(set(settings.rate_limits) - set(KINDS)):
            raise ValueError(
                f"LLM_ESTIMATE_RATE_LIMITS: no {', '.join(unknown)}; there are {', '.join(KINDS)}"
            )
        self._limits: Mapping[str, int] = settings.rate_limits
        self._proxies = settings.proxies
        self._clock = clock
        self._counts: Counts = SharedCounts(settings.redis_url) if settings.redis_url else OwnCounts()

    def spend(self, kind: str, forwarded: str, peer: str) -> None:
        """Count one request of a kind; raises `TooManyRequests` above the limit.

        `forwarded` is the X-Forwarded-For that came, `peer` the address of the connection.
        """
        limit = self._limits.get(kind)
        if not limit:
            return
        client = client_address(forwarded, peer, self._proxies)
        if not self._proxies and _is_this_machine(client):
            return
        now = self._clock()
        if self._counts.add(f"{kind}:{client}", int(now // WINDOW)) > limit:
            raise TooManyRequests(kind, limit, WINDOW - int(now % WINDOW))


def client_address(forwarded: str, peer: str, proxies: int) -> str:
    """Who asks, as the outermost of our own proxies saw it; of IPv6 the network, as one client has all of it.

    What stands further left in X-Forwarded-For, anybody may have written.

    >>> client_address("6.6.6.6, 1.2.3.4", "10.0.0.1", proxies=1)
    '1.2.3.4'
    >>> client_address("6.6.6.6", "10.0.0.1", proxies=0)
    '10.0.0.1'
    """
    chain = [*(part.strip() for part in forwarded.split(",") if part.strip()), peer]
    text = chain[max(len(chain) - 1 - proxies, 0)]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text[:64]
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    inner = address.ipv4_mapped
    return str(inner or ipaddress.IPv6Network((int(address), 64), strict=False))


def _is_this_machine(client: str) -> bool:
    return client.startswith("127.") or client == "::/64"


def spend(kind: str) -> None:
    """Count this request as one of a kind; raises `TooManyRequests` above the limit."""
    limits: Limits = current_app.extensions["limits"]
    limits.spend(kind, request.headers.get("X-Forwarded-For", ""), request.remote_addr or "")


def limited(kind: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a handler as dear; its kind is one of `KINDS`."""

    def mark(handler: Callable[P, R]) -> Callable[P, R]:
        @wraps(handler)
        def counted(*args: P.args, **kwargs: P.kwargs) -> R:
            spend(kind)
            return handler(*args, **kwargs)

        return counted

    return mark
