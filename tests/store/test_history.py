"""History: each owner's own, searched, bounded, forgotten."""

from app.store import Store
from app.store.records import NewEntry


def entry(
    owner: str = "me", kind: str = "memory_inference", search: str = "", created: float = 1.0
) -> NewEntry:
    return NewEntry(owner, kind, {"model_name": "Qwen3-8B"}, {"fits": True}, search, created)


def test_newest_first_and_in_pages(store: Store) -> None:
    store.history.add([entry(created=float(n)) for n in range(5)], most=100)
    entries, total = store.history.page("me", limit=2, offset=1)
    assert total == 5 and [each.created for each in entries] == [3.0, 2.0]
    assert entries[0].request == {"model_name": "Qwen3-8B"} and entries[0].summary == {"fits": True}


def test_owners_see_and_forget_their_own(store: Store) -> None:
    store.history.add([entry("me"), entry("you")], most=100)
    (mine,), _ = store.history.page("me")
    (yours,), _ = store.history.page("you")
    assert not store.history.delete("me", yours.id)
    assert store.history.delete("me", mine.id) and not store.history.delete("me", mine.id)
    assert store.history.clear("me") == 0
    assert store.history.clear("you") == 1


def test_words_that_all_stand_in_it(store: Store) -> None:
    texts = ["Qwen3-8B H100", "qwen3-8b L4", "Llama-3 100%_sure", "模型 H100"]
    store.history.add([entry(search=each) for each in texts], most=100)
    for words, count in (
        ("QWEN3", 2),
        ("h100 qwen", 1),
        ("h100", 2),
        ("%", 1),
        ("_", 1),
        ("模型", 1),
        ("x", 0),
    ):
        assert store.history.page("me", search=words)[1] == count, words
    store.history.add([entry(kind="recommend")], most=100)
    assert store.history.page("me", kind="recommend")[1] == 1


def test_of_an_owner_only_the_newest_stay(store: Store) -> None:
    store.history.add([entry("you", created=0.0)], most=3)
    for number in range(5):
        store.history.add([entry(created=float(number))], most=3)
    assert [each.created for each in store.history.page("me")[0]] == [4.0, 3.0, 2.0]
    assert store.history.page("you")[1] == 1
    store.history.add([entry(created=float(n)) for n in range(10, 20)], most=3)
    assert [each.created for each in store.history.page("me")[0]] == [19.0, 18.0, 17.0]


def test_what_is_old_or_too_much_is_forgotten(store: Store) -> None:
    store.history.add([entry(f"owner-{n}", created=float(n)) for n in range(10)], most=3)
    assert store.history.expire(4.0, most=100) == 4
    assert store.history.expire(4.0, most=5) == 1
    assert store.history.page("owner-4")[1] == 0 and store.history.page("owner-5")[1] == 1


def test_what_is_odd_in_json_comes_back(store: Store) -> None:
    odd = {"nul": "\0", "half": "\ud800", "large": 2**63 - 1, "deep": [[{}]], "中": None}
    store.history.add([NewEntry("me", "k", odd, odd, "", 1.0)], most=3)
    assert store.history.page("me")[0][0].request == odd
