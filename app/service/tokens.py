"""Bearer tokens: the one of the setting, and those that the store holds as hashes.

A token of the store is looked up by its SHA-256 (256 random bits need no slow hash), and what was found is
kept for a few seconds, so that a busy client costs the store nothing and a revocation holds everywhere soon.
"""

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Final, Literal, Protocol, get_args

from msgspec import Struct

Scope = Literal["read", "write", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)  # each includes those before it
KEPT_SECONDS: Final = 10.0  # until a revocation holds in every worker
_KEPT_TOKENS: Final = 1024
_PREFIX: Final = "llme_"  # lets scanners of leaked secrets know one
ENVIRONMENT: Final = "environment"  # id of the setting's token


class StoredToken(Protocol):
    """A token as the store has it: its hash, never the token itself."""

    @property
    def id(self) -> str: ...
    @property
    def hash(self) -> str: ...
    @property
    def scopes(self) -> Collection[str]: ...
    def valid_at(self, moment: float) -> bool:
        """Whether it is neither revoked nor expired at a moment [s since 1970]."""


class TokenStore(Protocol):
    """Where tokens are kept."""

    def by_hash(self, hash: str, /) -> StoredToken | None:  # noqa: A002
        """The token with a hash, also one that is no longer valid; raises `StoreDown`."""


class Grant(Struct, frozen=True):
    """What a token allows, and whose things it owns."""

    id: str
    scopes: frozenset[Scope]


def new_token() -> str:
    """A token of 256 random bits; it is shown once and kept only as `hash_of`."""
    return _PREFIX + secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    """What the store keeps of a token."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def scopes_up_to(scope: Scope) -> frozenset[Scope]:
    """A scope with those that it includes.

    >>> sorted(scopes_up_to("write"))
    ['read', 'write']
    """
    return frozenset(SCOPES[: SCOPES.index(scope) + 1])


class Tokens:
    """Finds what a bearer token allows; the store is asked only for tokens that look like its own."""

    def __init__(
        self,
        environment: str | None,
        store: Callable[[], TokenStore | None] = lambda: None,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._environment = environment
        self._store = store
        self._wall = wall
        self._steady = steady
        self._kept: OrderedDict[str, tuple[float, StoredToken | None]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def any(self) -> bool:
        """Whether there may be a token at all."""
        return self._environment is not None or self._store() is not None

    def find(self, token: str) -> Grant | None:
        """What a token allows, or None where it is not known, expired or revoked; raises `StoreDown`."""
        given = token.encode(errors="surrogatepass")
        if self._environment is not None and hmac.compare_digest(given, self._environment.encode()):
            return Grant(ENVIRONMENT, frozenset(SCOPES))
        if not token.startswith(_PREFIX):
            return None
        hashed = hash_of(token)
        found = self._look_up(hashed)
        if found is None or not hmac.compare_digest(found.hash, hashed) or not found.valid_at(self._wall()):
            return None
        return Grant(found.id, _known(found.scopes))

    def _look_up(self, hashed: str) -> StoredToken | None:
        """From what was seen lately, else from the store; unknown ones are kept too."""
        now = self._steady()
        with self._lock:
            seen, found = self._kept.get(hashed, (now - KEPT_SECONDS, None))
        if now - seen < KEPT_SECONDS:
            return found
        store = self._store()
        found = None if store is None else store.by_hash(hashed)
        with self._lock:
            self._kept[hashed] = (now, found)
            self._kept.move_to_end(hashed)
            while len(self._kept) > _KEPT_TOKENS:
                self._kept.popitem(last=False)
        return found


def _known(scopes: Collection[str]) -> frozenset[Scope]:
    held: set[Scope] = set()
    for scope in SCOPES:
        if scope in scopes:
            held |= scopes_up_to(scope)
    return frozenset(held)
