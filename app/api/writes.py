"""Who may write: everyone on loopback, holders of the token anywhere."""

import hmac
import ipaddress
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

from flask import current_app, request

from ..errors import DomainError
from ..messages import Message
from ..settings import Settings

P = ParamSpec("P")
R = TypeVar("R")


class Unauthorized(DomainError):
    """The write needs a token and none came (401)."""

    code = "unauthorized"


class Forbidden(DomainError):
    """The token is not the one, or there is none that would do (403)."""

    code = "forbidden"


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
    """Bound to loopback by the setting, by the server's own socket, and addressed as such.

    The socket tells when another server was started on a wider address; the Host header tells a page of
    another site that has its name point here, and a proxy that serves the world.
    """
    asked = urlsplit(f"//{request.host}").hostname or ""
    bound = request.environ.get("SERVER_NAME", "")
    return is_loopback(settings.host) and is_loopback(bound) and is_loopback(asked)


def check_write(settings: Settings) -> None:
    """Raise `Unauthorized` or `Forbidden` where this request may not write."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.casefold() == "bearer" and settings.token:
        if hmac.compare_digest(given.strip().encode(), settings.token.encode()):
            return
        raise Forbidden(Message("wrong_token"))
    if _open_to_all(settings):
        return
    if settings.token is None:
        raise Forbidden(Message("writes_closed"))
    raise Unauthorized(Message("token_needed"))


def writes(handler: Callable[P, R]) -> Callable[P, R]:
    """Mark a handler as one that writes."""

    @wraps(handler)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        check_write(current_app.extensions["settings"])
        return handler(*args, **kwargs)

    return guarded
