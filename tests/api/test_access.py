"""Who may do what: everyone reads, everyone writes on loopback, holders of tokens what their scopes say."""

import pytest

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
    [{"SERVER_NAME": "0.0.0.0"}, {"SERVER_NAME": "10.0.0.7"}, {"HTTP_HOST": "estimate.example.org"}],
)
def test_the_real_socket_and_the_asked_host_count(make_app: AppMaker, environ: dict[str, str]) -> None:
    """Whatever the setting says: another server may have bound wider, another site's name may point here."""
    client = make_app().test_client()
    check_error(client.post("/api/models", json=BODY, environ_overrides=environ), 403)


def test_reading_and_calculating_stay_open(make_app: AppMaker) -> None:
    client = make_app(host="0.0.0.0").test_client()
    assert client.get("/api/models?limit=1").status_code == 200
    assert client.post("/api/models/inspect", json={"config": {"model_type": "llama"}}).status_code == 200
    assert client.post("/api/memory/inference", json={"model_size": 7}).status_code == 200
