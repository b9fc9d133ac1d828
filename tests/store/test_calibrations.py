"""Calibrations belong to one owner each."""

from app.store import Store


def test_from_start_to_end(store: Store) -> None:
    kept = store.calibrations.put("me", "our h100", "inference", {"compute": 0.61, "parts": [1, 2]})
    assert store.calibrations.get("me", "our h100") == kept
    changed = store.calibrations.put("me", "our h100", "training", {"compute": 0.5})
    assert store.calibrations.list("me") == [changed]
    assert store.calibrations.delete("me", "our h100")
    assert not store.calibrations.delete("me", "our h100")
    assert store.calibrations.get("me", "our h100") is None


def test_owners_see_their_own(store: Store) -> None:
    store.calibrations.put("me", "b", "inference", {"x": 1})
    store.calibrations.put("me", "a", "inference", {"x": 2})
    store.calibrations.put("you", "b", "inference", {"x": 3})
    assert [each.name for each in store.calibrations.list("me")] == ["a", "b"]
    assert not store.calibrations.delete("you", "a")
    mine = store.calibrations.get("me", "b")
    assert mine is not None and mine.coefficients == {"x": 1}
