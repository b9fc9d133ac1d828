"""The database goes away: estimates go on, what needs it says so, and all of it comes back by itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.api.application import create_app
from app.settings import read_settings
from app.store import behind
from tests.servers import PostgreSQL, postgresql_running, wait_until

from .shape import check_error

ME = {"X-Browser-Id": "8sEvJ1zBzZ3Zkq0m1dYcVQ"}
CONFIG = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
NOWHERE = "postgresql://127.0.0.1:1/none"


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A service that started while its database was down."""
    settings: dict[str, Any] = {"access_log": False, "hub_offline": True, "database_url": NOWHERE}
    folder = tmp_path_factory.mktemp("lost")
    app = create_app(read_settings({}, **settings, data_folder=folder, history=True))
    yield app.test_client()
    app.extensions["service"].store.close()


def test_estimates_go_on(lost: FlaskClient) -> None:
    for path in ("/api/memory/inference", "/api/memory/training"):
        reply = lost.post(path, json={"model_name": "Qwen3-0.6B"}, headers=ME)
        assert reply.status_code == 200 and reply.get_json()["memory_bytes"]
    assert lost.post("/api/analytics", json={"event": "x"}).status_code == 202
    assert lost.get("/").status_code == 200 and lost.get("/health").status_code == 200


def test_what_needs_the_store_says_so(lost: FlaskClient) -> None:
    for method, path, body in (
        ("GET", "/api/history", None),
        ("DELETE", "/api/history", None),
        ("DELETE", "/api/history/1", None),
        ("POST", "/api/shares", {"state": "?a=1"}),
        ("GET", f"/s/{'a' * 22}", None),
        ("GET", "/api/analytics/summary", None),
        ("POST", "/api/models", {"name": "mine", "config": CONFIG}),
        ("GET", "/api/models/never-seen", None),
    ):
        reply = lost.open(path, method=method, json=body, headers={**ME, "Accept-Language": "zh"})
        error = check_error(reply, 503)
        assert error["code"] == "store_unavailable" and "数据库" in error["error"], path
        assert reply.headers["Retry-After"]
        assert "127.0.0.1" not in reply.get_data(as_text=True)


def test_models_are_listed_with_a_warning(lost: FlaskClient) -> None:
    found = lost.get("/api/models?limit=1").get_json()
    assert found["total"] > 100 and found["warnings"][0]["code"] == "store_unreachable"
    assert lost.get("/api/models/Qwen3-0.6B").status_code == 200


def test_not_ready_until_the_store_answers(lost: FlaskClient) -> None:
    assert lost.get("/health/ready").status_code == 503
    assert lost.get("/health/live").status_code == 200


@pytest.mark.servers
def test_down_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "_PATIENCE_S", 0.2)
    with postgresql_running() as server:
        settings: dict[str, Any] = {"data_folder": tmp_path, "access_log": False, "hub_offline": True}
        app = create_app(read_settings({}, **settings, history=True, database_url=server.new_database()))
        client = app.test_client()
        assert client.get("/health/ready").status_code == 200
        assert client.post("/api/models", json={"name": "mine", "config": CONFIG}).status_code == 201
        assert client.get("/api/models/mine").status_code == 200
        share = client.post("/api/shares", json={"state": "?a=1"}).get_json()["url"]
        _while_it_is_down(client, server)
        server.start()
        wait_until(lambda: client.get("/api/history", headers=ME).status_code == 200, "history is back")
        wait_until(lambda: _kept(client) == 2, "what was asked meanwhile is kept")
        assert client.get(share).status_code == 302
        assert client.get("/health/ready").get_json()["status"] == "ok"
        assert client.delete("/api/models/mine").status_code == 204
        app.extensions["service"].store.close()


def _while_it_is_down(client: FlaskClient, server: PostgreSQL) -> None:
    server.stop()
    for name in ("Qwen3-0.6B", "mine"):
        reply = client.post("/api/memory/inference", json={"model_name": name}, headers=ME)
        assert reply.status_code == 200, name
    check_error(client.get("/api/history", headers=ME), 503)
    check_error(client.post("/api/shares", json={"state": "?a=1"}), 503)
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.get_json()["status"]) == (200, "degraded")


def _kept(client: FlaskClient) -> int:
    return int(client.get("/api/history", headers=ME).get_json()["total"])
