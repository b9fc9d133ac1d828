"""Shares under ids that cannot be guessed."""

import time

from app.store import Store


def test_from_start_to_end(store: Store) -> None:
    made = store.shares.add("?mode=inference", 3600)
    assert len(made.id) == 22  # 128 random bits
    assert store.shares.get(made.id) == made
    assert store.shares.get("a" * 22) is None
    assert made.expires == made.created + 3600
    assert made.valid_at(made.created + 3599) and not made.valid_at(made.created + 3600)


def test_expired_ones_are_forgotten_and_others_stay(store: Store) -> None:
    short, long, ever = store.shares.add("a", 10), store.shares.add("b", 1e6), store.shares.add("c", None)
    assert ever.valid_at(1e15)
    assert store.shares.expire(time.time() + 60) == 1
    assert store.shares.get(short.id) is None
    assert store.shares.get(long.id) == long and store.shares.get(ever.id) == ever


def test_ids_differ(store: Store) -> None:
    assert len({store.shares.add("x", None).id for _ in range(20)}) == 20
