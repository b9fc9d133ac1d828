"""Whether the process runs, and whether to send requests to it."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.api.counts import SharedFlag
from app.errors import StoreDown
from app.messages import Message


@pytest.fixture
def app(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The application that tests share, as if nobody had asked whether it is ready."""
    monkeypatch.setitem(client.application.extensions, "store_answered", SharedFlag())
    return client.application


def break_store(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.extensions["service"], "failures", lambda: ["store away"])


def test_ready(app: Flask) -> None:
    reply = app.test_client().get("/health/ready")
    assert (reply.status_code, reply.get_json()["status"], reply.get_json()["failures"]) == (200, "ok", [])


def test_not_ready_before_the_store_has_answered_once(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    break_store(app, monkeypatch)
    reply = app.test_client().get("/health/ready")
    assert (reply.status_code, reply.get_json()["status"]) == (503, "unavailable")
    assert reply.get_json()["failures"] == ["store away"]


def test_degraded_when_the_store_goes_away_later(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    client = app.test_client()
    client.get("/health/ready")
    with monkeypatch.context() as broken:
        break_store(app, broken)
        reply = client.get("/health/ready")
        assert (reply.status_code, reply.get_json()["status"]) == (200, "degraded")
        assert reply.get_json()["failures"] == ["store away"]
        assert client.post("/api/memory/inference", json={"model_size": 7}).status_code == 200
    assert client.get("/health/ready").get_json()["status"] == "ok"


def test_never_ready_without_the_registry(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    client = app.test_client()
    client.get("/health/ready")
    monkeypatch.setattr(app.extensions["service"], "failures", lambda: ["registry"])
    assert client.get("/health/ready").status_code == 503


def test_not_ready_while_it_stops(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.extensions, "draining", lambda: True)
    reply = app.test_client().get("/health/ready")
    assert (reply.status_code, reply.get_json()["status"]) == (503, "draining")
    assert app.test_client().get("/health/live").status_code == 200


def test_live_looks_at_nothing(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[str]:
        raise StoreDown(Message("store_unavailable", {"reason": "test"}))

    monkeypatch.setattr(app.extensions["service"], "failures", fail)
    assert app.test_client().get("/health/live").get_json()["status"] == "ok"
    assert app.test_client().get("/health").get_json()["status"] == "ok"
