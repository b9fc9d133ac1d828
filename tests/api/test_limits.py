"""Limits on dear requests: by client, by kind, in the process or in Redis, and never on anything else."""

import logging
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.api.limits import KINDS, WINDOW, Limits, OwnCounts, TooManyRequests, client_address
from app.settings import read_settings
from test_api import ask
from tests.servers import Redis, redis_running, replica_running

from .conftest import AppMaker

LLAMA = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
INSPECT = {"config": LLAMA}
CLIENT = {"X-Forwarded-For": "192.0.2.7"}


def _limits(text: str, clock: float = 1_000_000.0, **more: Any) -> Limits:
    settings = read_settings({"LLM_ESTIMATE_RATE_LIMITS": text}, proxies=1, **more)
    return Limits(settings, clock=lambda: clock)


def _client(make_app: AppMaker, **overrides: Any) -> FlaskClient:
    """A client of an application for which time stands still, so no minute ends within a test."""
    app = make_app(**overrides)
    app.extensions["limits"] = Limits(app.extensions["settings"], clock=lambda: 1_000_000.0)
    return app.test_client()


def _inspect(client: FlaskClient, times: int, **headers: str) -> list[int]:
    headers = headers or CLIENT
    return [
        client.post("/api/models/inspect", json=INSPECT, headers=headers).status_code for _ in range(times)
    ]


def test_the_answer_above_the_limit_has_the_one_shape(make_app: AppMaker) -> None:
    client = _client(make_app, rate_limits={"inspect": 2}, proxies=1)
    assert _inspect(client, 2) == [200, 200]
    reply = client.post("/api/models/inspect", json=INSPECT, headers=CLIENT)
    answer = reply.get_json()
    assert (reply.status_code, answer["code"], answer["status"]) == (429, "too_many_requests", 429)
    assert set(answer) == {"error", "code", "status", "details", "request_id"}
    assert 0 < int(reply.headers["Retry-After"]) <= WINDOW


def test_clients_are_counted_apart_and_kinds_too(make_app: AppMaker) -> None:
    client = _client(make_app, rate_limits={"inspect": 1, "recommend": 1}, proxies=1)
    assert _inspect(client, 2) == [200, 429]
    assert _inspect(client, 1, **{"X-Forwarded-For": "192.0.2.8"}) == [200]
    asked = {"model_name": "Qwen3-0.6B", "gpus": ["L4"]}
    statuses = [
        client.post(path, json=asked, headers=CLIENT).status_code
        for path in ("/api/v1/inference/estimate", "/api/v1/inference/estimate")
    ]
    assert statuses == [200, 429]


def test_a_window_later_it_goes_on() -> None:
    settings = read_settings({"LLM_ESTIMATE_RATE_LIMITS": "hub=1"}, proxies=1)
    now = [1_000_000.0]
    limits = Limits(settings, clock=lambda: now[0])
    limits.spend("hub", "192.0.2.7", "127.0.0.1")
    with pytest.raises(TooManyRequests) as caught:
        limits.spend("hub", "192.0.2.7", "127.0.0.1")
    now[0] += caught.value.retry_after
    limits.spend("hub", "192.0.2.7", "127.0.0.1")


def test_memory_routes_are_not_limited(make_app: AppMaker) -> None:
    client = _client(make_app, rate_limits=dict.fromkeys(KINDS, 1), proxies=1)
    asked = {"model_name": "Qwen3-0.6B"}
    replies = [client.post("/api/memory/inference", json=asked, headers=CLIENT) for _ in range(5)]
    assert {reply.status_code for reply in replies} == {200}


def test_simulations_are_limited_and_formulas_are_not(make_app: AppMaker) -> None:
    client = _client(make_app, rate_limits={"simulate": 1}, proxies=1)
    asked = {"model_name": "Qwen3-0.6B", "gpu": "H100-80GB", "concurrency": 4}
    simulated = {**asked, "mode": "simulate"}
    bodies = [simulated, simulated, asked]
    replies = [client.post("/api/performance/inference", json=body, headers=CLIENT) for body in bodies]
    assert [reply.status_code for reply in replies] == [200, 429, 200]
    compared = client.post(
        "/api/performance/compare",
        json={"calculation_type": "inference", "configurations": [asked, simulated]},
        headers=CLIENT,
    )
    assert compared.get_json()["results"][1]["code"] == "too_many_requests"


def test_lookups_in_the_hub_are_limited(make_app: AppMaker) -> None:
    client = _client(make_app, rate_limits={"hub": 1}, proxies=1, token="secret")
    headers = {**CLIENT, "Authorization": "Bearer secret"}
    replies = [client.post("/api/models", json={"repo_id": "a/b"}, headers=headers) for _ in range(2)]
    assert [reply.get_json()["code"] for reply in replies] == ["hub_offline", "too_many_requests"]


def test_this_machine_itself_is_not_limited(make_app: AppMaker) -> None:
    client = _client(make_app, rate_limits={"inspect": 1})
    assert _inspect(client, 3) == [200] * 3


@pytest.mark.parametrize(
    ("forwarded", "peer", "proxies", "expected"),
    [
        ("", "192.0.2.1", 0, "192.0.2.1"),
        ("192.0.2.9", "192.0.2.1", 0, "192.0.2.1"),
        ("6.6.6.6, 192.0.2.9", "10.0.0.1", 1, "192.0.2.9"),
        ("6.6.6.6, 192.0.2.9, 10.0.0.2", "10.0.0.1", 2, "192.0.2.9"),
        ("", "10.0.0.1", 2, "10.0.0.1"),
        ("", "2001:db8:1:2:3:4:5:6", 0, "2001:db8:1:2::/64"),
        ("", "::ffff:192.0.2.1", 0, "192.0.2.1"),
        ("x" * 500, "10.0.0.1", 1, "x" * 64),
    ],
)
def test_who_asks(forwarded: str, peer: str, proxies: int, expected: str) -> None:
    assert client_address(forwarded, peer, proxies) == expected


def test_no_limit_for_kinds_left_out_or_zero() -> None:
    limits = _limits("hub=0")
    for kind in ("hub", "sweeps"):
        for _ in range(100):
            limits.spend(kind, "192.0.2.7", "127.0.0.1")


def test_a_kind_that_is_none_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="no hubb; there are recommend"):
        _limits("hubb=3")


def test_the_process_forgets_what_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.limits._MOST_KEYS", 10)
    counts = OwnCounts()
    for number in range(100):
        counts.add(str(number), 1)
        assert len(counts._counts) <= 10


@pytest.mark.servers
def test_replicas_share_their_counts_in_redis(redis_url: str) -> None:
    one, other = (_limits("hub=3", redis_url=redis_url) for _ in range(2))
    for limits in (one, other, one):
        limits.spend("hub", "192.0.2.7", "10.0.0.1")
    with pytest.raises(TooManyRequests):
        other.spend("hub", "192.0.2.7", "10.0.0.1")


@pytest.mark.servers
def test_counts_in_redis_end_by_themselves(redis_server: Redis, redis_url: str) -> None:
    _limits("hub=3", redis_url=redis_url).spend("hub", "192.0.2.7", "10.0.0.1")
    name = f"llm_estimate:rate:{1_000_000 // WINDOW}:hub:192.0.2.7"
    assert 0 < int(redis_server.say(f"TTL {name}").lstrip(":")) <= 2 * WINDOW


@pytest.mark.servers
def test_requests_go_on_while_redis_is_away(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.api.limits._REDIS_PAUSE", 0.0)
    monkeypatch.setattr(logging.getLogger("llm_estimate"), "propagate", True)
    with redis_running() as server:
        limits = _limits("hub=2", redis_url=server.url)
        limits.spend("hub", "192.0.2.7", "10.0.0.1")
        server.stop()
        for _ in range(2):
            limits.spend("hub", "192.0.2.7", "10.0.0.1")
        with pytest.raises(TooManyRequests):
            limits.spend("hub", "192.0.2.7", "10.0.0.1")
        assert "Redis does not answer" in caplog.text
        server.start()
        limits.spend("hub", "192.0.2.7", "10.0.0.1")
        assert server.say("DBSIZE") == ":1"


@pytest.mark.servers
def test_the_service_limits_with_redis(redis_server: Redis, redis_url: str) -> None:
    settings = {"REDIS_URL": redis_url, "LLM_ESTIMATE_RATE_LIMITS": "inspect=3", "LLM_ESTIMATE_PROXIES": "1"}
    with replica_running(**settings) as replica:
        statuses = [ask(replica.url, "POST", "/api/models/inspect", INSPECT)[0] for _ in range(12)]
    assert statuses[:3] == [200] * 3
    assert statuses.count(429) >= 3  # even where the minute ends in between
    assert redis_server.say("DBSIZE") in (":1", ":2")
