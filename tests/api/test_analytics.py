"""Usage events: counted by the hour, refused where they say too much, never in anybody's way."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.api.application import create_app
from app.settings import read_settings

from .conftest import AppMaker
from .shape import check_error


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    folder = tmp_path_factory.mktemp("analytics")
    app = create_app(read_settings({}, data_folder=folder, access_log=False, hub_offline=True))
    yield app.test_client()
    app.extensions["service"].store.close()


def test_counted_and_summed(make_app: AppMaker) -> None:
    counting = make_app().test_client()
    now = datetime.now(UTC)
    for duration, when in ((10, now.isoformat()), (20.5, time.time() * 1000), (None, None)):
        event = {"event": "estimate", "type": "inference", "duration": duration, "timestamp": when}
        given = {name: value for name, value in event.items() if value is not None}
        reply = counting.post("/api/analytics", json=given)
        assert (reply.status_code, reply.get_data()) == (202, b"")
    yesterday = (now - timedelta(days=1)).isoformat()
    assert counting.post("/api/analytics", json={"event": "open", "timestamp": yesterday}).status_code == 202
    found = counting.get("/api/analytics/summary").get_json()
    assert found["total"] == 4 and found["events"] == [
        {
            "event": "estimate",
            "type": "inference",
            "count": 3,
            "mean_duration_ms": 15.25,
            "longest_duration_ms": 20.5,
        },
        {
            "event": "open",
            "type": "",
            "count": 1,
            "mean_duration_ms": None,
            "longest_duration_ms": None,
        },
    ]
    assert [each["count"] for each in found["days"]] in ([1, 3], [4])  # a day may have begun meanwhile
    today = counting.get("/api/analytics/summary?days=1").get_json()
    assert today["from"] == today["to"]


@pytest.mark.parametrize("when", ["2001-01-01", "2200-01-01T00:00:00Z", 0, 4e12])
def test_a_clock_that_is_wrong_counts_now(counting: FlaskClient, when: object) -> None:
    event = {"event": "clock", "type": str(when).replace("-", "."), "timestamp": when}
    assert counting.post("/api/analytics", json=event).status_code == 202
    found = counting.get("/api/analytics/summary?days=2").get_json()["events"]
    assert event["type"] in {each["type"] for each in found if each["count"] == 1}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event", "somebody@example.org"),
        ("event", "a b"),
        ("event", ""),
        ("event", "x" * 65),
        ("event", None),
        ("type", "é"),
        ("type", 5),
        ("duration", -1),
        ("duration", "5"),
        ("timestamp", "yesterday"),
        ("timestamp", True),
        ("timestamp", -1),
        ("timestamp", 1e300),
        ("user", "me"),
    ],
)
def test_what_is_no_event(counting: FlaskClient, field: str, value: object) -> None:
    error = check_error(counting.post("/api/analytics", json={"event": "x", field: value}), 400)
    assert error["details"][0]["field"] == field


def test_off(make_app: AppMaker) -> None:
    client = make_app(analytics=False).test_client()
    assert check_error(client.post("/api/analytics", json={"event": "x"}), 404)["code"] == "analytics_off"
    check_error(client.get("/api/analytics/summary"), 404)


def test_days_within_bounds(counting: FlaskClient) -> None:
    for days in ("0", "401", "x"):
        check_error(counting.get(f"/api/analytics/summary?days={days}"), 400)


def test_open_to_readers_and_bounded(make_app: AppMaker) -> None:
    app: Flask = make_app(host="0.0.0.0", rate_limits={"analytics": 3})
    client = app.test_client()
    from_afar = {"REMOTE_ADDR": "192.0.2.7"}
    asked = [
        client.post("/api/analytics", json={"event": "x"}, environ_overrides=from_afar).status_code
        for _ in range(8)
    ]
    assert asked.count(202) in range(3, 7) and asked[-1] == 429  # a minute may have begun meanwhile
