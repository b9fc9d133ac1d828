"""Events are sums over hours."""

from concurrent.futures import ThreadPoolExecutor

from app.store import Store
from app.store.records import DayLine, EventKey, EventLine, EventSum


def test_sums_add_up_within_an_hour(store: Store) -> None:
    key = EventKey(480_000, "estimate", "inference")
    store.events.add([(key, EventSum.one(5.0)), (EventKey(480_000, "open", ""), EventSum.one(None))])
    store.events.add([(key, EventSum.one(2.5) + EventSum.one(None))])
    assert store.events.lines(480_000, 480_000) == [
        EventLine("estimate", "inference", EventSum(3, 2, 7.5, 5.0)),
        EventLine("open", "", EventSum(1, 0, 0.0, 0.0)),
    ]


def test_over_hours_and_days(store: Store) -> None:
    for hour, count in ((23, 1), (24, 2), (47, 3), (48, 4)):
        store.events.add([(EventKey(hour, "open", ""), EventSum(count, 0, 0.0, 0.0))])
    assert store.events.lines(24, 47) == [EventLine("open", "", EventSum(5, 0, 0.0, 0.0))]
    assert store.events.days(0, 100) == [DayLine(0, 1), DayLine(1, 5), DayLine(2, 4)]
    assert store.events.expire(47 * 3600 + 10) == 2
    assert store.events.days(0, 100) == [DayLine(1, 3), DayLine(2, 4)]


def test_many_writers_lose_nothing(store: Store) -> None:
    keys = [EventKey(1, name, "") for name in "abcd"]
    rounds = [[*keys], [*reversed(keys)]] * 10
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda some: store.events.add([(key, EventSum.one(1.0)) for key in some]), rounds))
    assert [line.sums.count for line in store.events.lines(1, 1)] == [20] * 4
