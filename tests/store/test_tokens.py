"""Tokens by their hash."""

import pytest
from sqlalchemy.exc import IntegrityError

from app.store import Store


def test_from_start_to_end(store: Store) -> None:
    made = store.tokens.add("a" * 64, ("read", "write"), "pipeline", expires=2e9)
    other = store.tokens.add("b" * 64, ("admin",), "")
    assert store.tokens.by_hash("a" * 64) == made
    assert store.tokens.by_hash("c" * 64) is None
    assert store.tokens.list() == [made, other]
    assert made.scopes == ("read", "write") and made.id != other.id
    assert store.tokens.revoke(made.id) and not store.tokens.revoke(made.id)
    gone = store.tokens.by_hash("a" * 64)
    assert gone is not None and gone.revoked is not None and not gone.valid_at(gone.revoked)
    assert store.tokens.delete(made.id) and not store.tokens.delete(made.id)
    assert not store.tokens.revoke("none")
    assert store.tokens.list() == [other]


def test_validity(store: Store) -> None:
    made = store.tokens.add("a" * 64, ("read",), "", expires=1000.0)
    assert made.valid_at(999.9) and not made.valid_at(1000.0)
    assert store.tokens.add("b" * 64, ("read",), "").valid_at(1e12)


def test_a_hash_is_there_once(store: Store) -> None:
    store.tokens.add("a" * 64, ("read",), "first")
    with pytest.raises(IntegrityError):
        store.tokens.add("a" * 64, ("admin",), "second")
    assert [token.label for token in store.tokens.list()] == ["first"]
