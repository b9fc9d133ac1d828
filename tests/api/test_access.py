"""Who may do what: everyone reads, everyone writes on loopback, holders of tokens what their scopes say."""

from pathlib import Path

import pytest
from flask import Flask

from app.service.tokens import hash_of, new_token

from .conftest import AppMaker
from .shape import check_error

BODY = {"name": "own", "config": {"model_type": "llama", "num_hidden_layers": 1}}
TOKEN = {"Authorization": "Bearer s3cret"}


def test_loopback_is_open(make_app: AppMaker) -> None:
    client = make_app().test_client()
    assert client.post("/api/models", json=BODY).status_code == 201
    assert client.delete("/api/models/own").status_code == 204


def test_a_wide_bind_without_a_token_is_closed(make_app: AppMaker) -> None:
    client = make_app(host="0.0.0.0").test_client()
    assert check_error(client.post("/api/models", json=BODY), 403)["code"] == "forbidden"
    check_error(client.put("/api/models/own", json={"config": {}}), 403)
    check_error(client.delete("/api/models/own"), 403)


def test_a_wide_bind_needs_the_token(make_app: AppMaker) -> None:
    client = make_app(host="0.0.0.0", token="s3cret").test_client()
    refused = client.post("/api/models", json=BODY)
    assert check_error(refused, 401)["code"] == "unauthorized"
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    check_error(client.post("/api/models", json=BODY, headers={"Authorization": "Bearer wrong"}), 403)
    check_error(client.post("/api/models", json=BODY, headers={"Authorization": "Basic s3cret"}), 401)
    assert client.post("/api/models", json=BODY, headers=TOKEN).status_code == 201


def test_a_wrong_token_is_refused_on_loopback_too(make_app: AppMaker) -> None:
    client = make_app(token="s3cret").test_client()
    check_error(client.post("/api/models", json=BODY, headers={"Authorization": "Bearer wrong"}), 403)


@pytest.mark.parametrize(
    "environ",
    [
        {"SERVER_NAME": "0.0.0.0"},
        {"SERVER_NAME": "10.0.0.7"},
        {"HTTP_HOST": "estimate.example.org"},
        {"HTTP_X_FORWARDED_FOR": "192.0.2.7"},
        {"HTTP_X_FORWARDED_FOR": "127.0.0.1, 192.0.2.7"},
    ],
)
def test_the_real_socket_and_the_asked_host_count(make_app: AppMaker, environ: dict[str, str]) -> None:
    """Whatever the setting says: another server may have bound wider, another site's name may point here,
    a proxy on this machine may serve the world."""
    client = make_app().test_client()
    check_error(client.post("/api/models", json=BODY, environ_overrides=environ), 403)


def test_reading_and_calculating_stay_open(make_app: AppMaker) -> None:
    client = make_app(host="0.0.0.0").test_client()
    assert client.get("/api/models?limit=1").status_code == 200
    assert client.post("/api/models/inspect", json={"config": {"model_type": "llama"}}).status_code == 200
    assert client.post("/api/memory/inference", json={"model_size": 7}).status_code == 200


def test_the_own_page_may_write_and_a_set_origin_too(make_app: AppMaker) -> None:
    client = make_app(cors_origins=("https://tools.example",)).test_client()
    for origin in ("http://localhost", "https://tools.example"):
        reply = client.post("/api/models", json={}, headers={"Origin": origin})
        assert reply.status_code == 400, origin


def test_behind_a_proxy_loopback_means_nothing(make_app: AppMaker) -> None:
    check_error(make_app(proxies=1).test_client().post("/api/models", json=BODY), 403)


def _token(app: Flask, *scopes: str) -> dict[str, str]:
    token = new_token()
    app.extensions["service"].store.tokens.add(hash_of(token), scopes, "a test's")
    return {"Authorization": f"Bearer {token}"}


def test_a_stored_token_does_what_its_scopes_say(make_app: AppMaker) -> None:
    app = make_app(host="0.0.0.0")
    client = app.test_client()
    check_error(client.post("/api/models", json=BODY), 403)
    reading, writing = _token(app, "read"), _token(app, "write")
    check_error(client.post("/api/models", json=BODY), 401)
    assert check_error(client.post("/api/models", json=BODY, headers=reading), 403)["code"] == "forbidden"
    assert client.post("/api/models", json=BODY, headers=writing).status_code == 201


def test_a_revoked_or_expired_token_is_refused(make_app: AppMaker) -> None:
    app = make_app(host="0.0.0.0")
    client, stored = app.test_client(), app.extensions["service"].store.tokens
    revoked, expired = new_token(), new_token()
    stored.revoke(stored.add(hash_of(revoked), ("write",), "").id)
    stored.add(hash_of(expired), ("write",), "", expires=1.0)
    for token in (revoked, expired, new_token()):
        check_error(client.post("/api/models", json=BODY, headers={"Authorization": f"Bearer {token}"}), 403)


def test_reading_can_need_a_token_too(make_app: AppMaker) -> None:
    app = make_app(require_token=True, token="s3cret")
    client, reading = app.test_client(), _token(app, "read")
    for path in ("/api/models", "/api/nothing", "/metrics", "/api/config/options"):
        refused = client.get(path)
        assert check_error(refused, 401)["code"] == "unauthorized", path
    check_error(client.post("/api/memory/inference", json={"model_size": 7}), 401)
    check_error(client.post("/api/models", json=BODY), 401)
    assert client.post("/api/models", json=BODY, headers=TOKEN).status_code == 201
    for headers in (reading, TOKEN):
        assert client.get("/api/models?limit=1", headers=headers).status_code == 200
    for path in ("/", "/health", "/api/health", "/health/live", "/health/ready", "/docs", "/openapi.json"):
        assert client.get(path).status_code == 200, path


def test_a_store_that_is_down_leaves_the_setting_s_token(make_app: AppMaker, tmp_path: Path) -> None:
    broken = tmp_path / "broken.sqlite3"
    broken.write_text("this is no database")
    client = make_app(host="0.0.0.0", token="s3cret", database_url=f"sqlite:///{broken}").test_client()
    body = {"repo_id": "me/tiny"}  # the hub is off, so that nothing but the token matters
    assert check_error(client.post("/api/models", json=body, headers=TOKEN), 503)["code"] == "hub_offline"
    unknown = {"Authorization": f"Bearer {new_token()}"}
    refused = client.post("/api/models", json=body, headers=unknown)
    assert check_error(refused, 503)["code"] == "store_unavailable"
    assert client.post("/api/memory/inference", json={"model_size": 7}, headers=unknown).status_code == 200
