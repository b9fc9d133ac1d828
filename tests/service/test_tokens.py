"""Tokens of the setting and of the store, and how long what was found is kept."""

from dataclasses import dataclass, field

import pytest

from app.errors import StoreDown
from app.messages import Message
from app.service.tokens import ENVIRONMENT, KEPT_SECONDS, Tokens, hash_of, new_token


@dataclass
class Stored:
    id: str
    hash: str
    scopes: tuple[str, ...]
    expires: float | None = None
    revoked: bool = False

    def valid_at(self, moment: float) -> bool:
        return not self.revoked and (self.expires is None or moment < self.expires)


@dataclass
class Store:
    """Tokens by hash, which counts how often it was asked."""

    tokens: dict[str, Stored] = field(default_factory=dict)
    asked: int = 0
    is_down: bool = False

    def by_hash(self, hash: str, /) -> Stored | None:  # noqa: A002
        self.asked += 1
        if self.is_down:
            raise StoreDown(Message("store_unavailable", {"reason": "gone"}))
        return self.tokens.get(hash)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> Store:
    return Store()


def _with(store: Store, clock: Clock) -> Tokens:
    return Tokens("s3cret", lambda: store, clock, clock)


def _add(store: Store, *scopes: str, expires: float | None = None) -> str:
    token = new_token()
    store.tokens[hash_of(token)] = Stored(f"id{len(store.tokens)}", hash_of(token), scopes, expires)
    return token


def test_a_token_is_long_and_never_kept_itself(store: Store) -> None:
    token = _add(store, "write")
    assert len(token) >= 43
    assert token != new_token()
    assert token not in repr(store)


def test_the_setting_s_token_may_do_everything_without_a_store(clock: Clock, store: Store) -> None:
    store.is_down = True
    grant = _with(store, clock).find("s3cret")
    assert grant is not None
    assert (grant.id, grant.scopes) == (ENVIRONMENT, {"read", "write", "admin"})
    assert store.asked == 0


@pytest.mark.parametrize(
    ("scope", "held"),
    [
        ("read", {"read"}),
        ("write", {"read", "write"}),
        ("admin", {"read", "write", "admin"}),
        ("unheard", set()),
    ],
)
def test_a_scope_includes_the_smaller_ones(store: Store, clock: Clock, scope: str, held: set[str]) -> None:
    token = _add(store, scope)
    grant = _with(store, clock).find(token)
    assert grant is not None
    assert (grant.id, grant.scopes) == ("id0", held)


@pytest.mark.parametrize("token", ["", "S3CRET", "s3cret ", "llme_unknown", "ł", "\udc80" * 2])
def test_other_tokens_are_not_known(store: Store, clock: Clock, token: str) -> None:
    assert _with(store, clock).find(token) is None


def test_expiry_counts_at_once_and_a_revocation_soon(store: Store, clock: Clock) -> None:
    tokens, brief, revoked = _with(store, clock), _add(store, "read", expires=1005.0), _add(store, "read")
    assert tokens.find(brief)
    assert tokens.find(revoked)
    store.tokens[hash_of(revoked)].revoked = True
    store.tokens = {}
    clock.now += 5
    assert tokens.find(brief) is None
    clock.now += KEPT_SECONDS
    assert tokens.find(revoked) is None
    assert KEPT_SECONDS <= 30


def test_the_store_is_asked_once_in_a_while(store: Store, clock: Clock) -> None:
    tokens, known = _with(store, clock), _add(store, "read")
    for _ in range(50):
        assert tokens.find(known)
        assert tokens.find("llme_unknown") is None
    assert store.asked == 2
    clock.now += KEPT_SECONDS
    assert tokens.find(known)
    assert store.asked == 3


def test_what_is_kept_has_a_bound(store: Store, clock: Clock) -> None:
    tokens = _with(store, clock)
    for number in range(3000):
        tokens.find(f"llme_{number}")
    assert len(tokens._kept) <= 1024


def test_a_store_that_is_down_says_so(store: Store, clock: Clock) -> None:
    store.is_down = True
    with pytest.raises(StoreDown):
        _with(store, clock).find("llme_unknown")
