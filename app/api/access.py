"""Who asks, and what they may do: everyone reads, writes on loopback; tokens carry scopes anywhere.

A handler says what it needs with `@requires("read" | "write" | "admin")`, and reads `identify()` where the
answer depends on who asks. Without a token, reading is open unless a setting closes it, and the rest is open
only on loopback.
"""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar
from urllib.parse import urlsplit

from flask import Flask, current_app, g, request

from ..errors import DomainError
from ..messages import Message
from ..service.tokens import SCOPES, Scope, Tokens
from ..settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

# What answers without a token even where reading needs one: health, pages that hold no data, and the metrics,
# which look for themselves.
_OPEN_BLUEPRINTS: Final = frozenset({"health", "web", "pages", "api-docs", "metrics"})
_FORWARDED: Final = ("X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Forwarded", "Via")  # by proxies


class Unauthorized(DomainError):
    """A token is needed and none came, or none that is known (401)."""

    code = "unauthorized"


class Forbidden(DomainError):
    """The token does not allow it, or there is none that would (403)."""

    code = "forbidden"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: the id of their token or None, and what they may do."""

    token_id: str | None
    scopes: frozenset[Scope]


def identify() -> Identity:
    """Who asks; raises `Forbidden` for an unknown token, and `StoreDown` where that cannot be told."""
    if "identity" not in g:
        g.identity = _identify(current_app.extensions["settings"], current_app.extensions["tokens"])
    found: Identity = g.identity
    return found


def _identify(settings: Settings, tokens: Tokens) -> Identity:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.casefold() == "bearer" and tokens.any:
        if (grant := tokens.find(given.strip())) is None:
            raise Forbidden(Message("wrong_token"))
        return Identity(grant.id, grant.scopes)
    if settings.require_token:
        return Identity(None, frozenset())
    return Identity(None, frozenset(SCOPES if _open_to_all(settings) else ("read",)))


def may_read() -> bool:
    """Whether this request may see what needs reading; for pages that have something to show without."""
    try:
        check("read")
    except DomainError:
        return False
    return True


def check(scope: Scope) -> None:
    """Raise `Unauthorized` or `Forbidden` where this request may not do what needs a scope."""
    settings: Settings = current_app.extensions["settings"]
    if scope == "read" and not settings.require_token:
        return
    asking = identify()
    if scope in asking.scopes:
        return
    if asking.token_id is not None:
        raise Forbidden(Message("scope_needed", {"scope": scope}))
    if not current_app.extensions["tokens"].any:
        raise Forbidden(Message("writes_closed"))
    raise Unauthorized(Message("token_needed", {"scope": scope}))


def requires(scope: Scope) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a handler as one that needs a scope."""

    def mark(handler: Callable[P, R]) -> Callable[P, R]:
        @wraps(handler)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            check(scope)
            return handler(*args, **kwargs)

        return _documented(guarded)

    return mark


def _documented(handler: Callable[P, R]) -> Callable[P, R]:
    """Say in /openapi.json that a token may be needed; on loopback none is."""
    known: dict[str, Any] = getattr(handler, "_apidoc", {})
    security: dict[str, Any] = {"security": [{"bearer": []}, {}]}
    handler._apidoc = {**known, "manual_doc": {**known.get("manual_doc", {}), **security}}  # type: ignore[attr-defined]
    return handler


def writes(handler: Callable[P, R]) -> Callable[P, R]:
    """Mark a handler as one that writes."""
    return requires("write")(handler)


def guard(app: Flask, settings: Settings, tokens: Tokens) -> None:
    """Give an application its tokens, and close its reading where the setting says so."""
    app.extensions["tokens"] = tokens
    if settings.require_token:
        app.before_request(_check_reading)


def _check_reading() -> None:
    """Everything needs a token that is not named as open, paths that are not there included."""
    if request.method != "OPTIONS" and request.blueprint not in _OPEN_BLUEPRINTS:
        check("read")


def is_loopback(host: str) -> bool:
    """Whether an address or name reaches this machine only.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _open_to_all(settings: Settings) -> bool:
    """Bound to loopback by the setting, by the server's own socket, and asked from this machine as such.

    The socket tells when another server was started on a wider address. The Host header tells a page of
    another site that has its name point here; Origin tells one that asks outright. A proxy in front serves
    the world, and may pass on any Host: its own headers, or the setting that counts proxies, tell of it.
    """
    asked = urlsplit(f"//{request.host}").hostname or ""
    bound = request.environ.get("SERVER_NAME", "")
    is_local = is_loopback(settings.host) and is_loopback(bound) and is_loopback(asked)
    return is_local and not settings.proxies and not _is_forwarded() and not _is_of_another_site(settings)


def _is_forwarded() -> bool:
    return any(name in request.headers for name in _FORWARDED)


def _is_of_another_site(settings: Settings) -> bool:
    origin = request.headers.get("Origin")
    return (
        origin is not None and urlsplit(origin).netloc != request.host and origin not in settings.cors_origins
    )
