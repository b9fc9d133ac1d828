"""Shares: the page's own address and nothing else, for a while."""

import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.api.application import create_app
from app.api.resources import shares as resource
from app.settings import read_settings

from .conftest import AppMaker
from .shape import check_error


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    folder = tmp_path_factory.mktemp("shares")
    return create_app(read_settings({}, data_folder=folder, access_log=False, hub_offline=True))


@pytest.fixture
def sharing(app: Flask) -> FlaskClient:
    return app.test_client()


def _share(client: FlaskClient, state: object) -> dict[str, Any]:
    reply = client.post("/api/shares", json={"state": state})
    assert reply.status_code == 201, reply.get_data()
    return dict(reply.get_json())


def test_an_address_of_the_page(sharing: FlaskClient) -> None:
    state = "?mode=inference&model_name=Qwen%2FQwen3-0.6B#c=eJzT0yMAAGTvBe8="
    made = _share(sharing, state)
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", made["id"]), "128 bits"
    assert made["url"] == f"/s/{made['id']}" and made["expires_at"].endswith("+00:00")
    opened = sharing.get(made["url"])
    assert (opened.status_code, opened.headers["Location"]) == (302, f"/{state}")
    assert sharing.get(opened.headers["Location"]).status_code == 200
    assert sharing.head(made["url"]).status_code == 302


def test_fields_become_a_query(sharing: FlaskClient) -> None:
    made = _share(sharing, {"mode": "inference", "batch_size": 4, "explain": True, "gpu": "a&b=c#d/é"})
    location = sharing.get(made["url"]).headers["Location"]
    assert location == "/?mode=inference&batch_size=4&explain=true&gpu=a%26b%3Dc%23d%2F%C3%A9"
    assert sharing.get(_share(sharing, {})["url"]).headers["Location"] == "/"


def test_a_long_one_opens_by_a_page(sharing: FlaskClient) -> None:
    state = "?mode=inference&a=1#c=" + "x" * 60_000
    page = sharing.get(_share(sharing, state)["url"])
    assert page.status_code == 200 and page.content_type.startswith("text/html")
    text = page.get_data(as_text=True)
    assert f'content="0;url=/{state.replace("&", "&amp;")}"' in text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "state",
    [
        "//evil.example", "/\\evil.example", "https://evil.example", "evil.example", "javascript:alert(1)",
        "?a=\"><script>", "?a=b c", "?a\r\nSet-Cookie: x=y", "?a=é", "#a#b", "\\evil", "?a=b\0", ".evil",
    ],
)  # fmt: skip
def test_no_address_but_the_pages_own(sharing: FlaskClient, state: str) -> None:
    error = check_error(sharing.post("/api/shares", json={"state": state}), 400)
    assert error["details"][0]["field"] == "state"


@pytest.mark.parametrize(
    "state", ["?" + "a" * 6001, "#" + "a" * 65536, {"a": []}, {"a": {"b": 1}}, {"a": None}, None, 5, ["?a=1"]]
)
def test_neither_too_long_nor_of_another_kind(sharing: FlaskClient, state: object) -> None:
    check_error(sharing.post("/api/shares", json={"state": state}), 400)


@pytest.mark.parametrize("address", ["x", "a" * 22, "a" * 23, "%00" * 22, "é" * 22])
def test_what_was_never_shared(sharing: FlaskClient, address: str) -> None:
    check_error(sharing.get(f"/s/{address}"), 404)


def test_the_end_of_a_share(sharing: FlaskClient, monkeypatch: pytest.MonkeyPatch, app: Flask) -> None:
    made = _share(sharing, "?a=1")
    later = resource.time.time() + 181 * 86_400
    monkeypatch.setattr(resource.time, "time", lambda: later)
    assert check_error(sharing.get(made["url"]), 410)["code"] == "gone"


def test_shares_that_stay(make_app: AppMaker) -> None:
    client = make_app(share_days=0).test_client()
    assert _share(client, "?a=1")["expires_at"] is None


def test_writing_is_closed_to_the_world(make_app: AppMaker, tmp_path: Path) -> None:
    client = make_app(host="0.0.0.0").test_client()
    check_error(client.post("/api/shares", json={"state": "?a=1"}), 403)
    assert not (tmp_path / "data").exists()
