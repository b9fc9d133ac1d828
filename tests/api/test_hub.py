"""Registering from the hub through the interface: what goes wrong has its status, and no secret gets out."""

import logging
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.api.application import create_app
from app.api.traffic import JsonLines
from app.registry.transfer import Limits
from app.settings import read_settings

from ..registry import fake_hub
from ..registry.fake_hub import FakeHub, safetensors, tensor
from .conftest import AppMaker
from .shape import check_error

REPO = "me/tiny"
CONFIG = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1}
SECRET = "hf_hush-4711"


@pytest.fixture(scope="module")
def running_hub() -> Iterator[FakeHub]:
    with fake_hub.running() as running:
        running.put(REPO, "config.json", CONFIG)
        running.put(REPO, "model.safetensors", safetensors({"w": tensor("BF16", [4, 8], 64)}))
        yield running


@pytest.fixture(scope="module")
def app(running_hub: FakeHub, tmp_path_factory: pytest.TempPathFactory) -> Flask:
    folder = tmp_path_factory.mktemp("data")
    environment = {"HF_ENDPOINT": running_hub.endpoint, "HF_TOKEN": SECRET}
    return create_app(read_settings(environment, data_folder=folder, access_log=False))


@pytest.fixture
def hub(running_hub: FakeHub) -> FakeHub:
    running_hub.answers.clear()
    running_hub.seen.clear()
    return running_hub


@pytest.fixture
def client(app: Flask, hub: FakeHub) -> FlaskClient:
    app.extensions["service"].__dict__.pop("_hub", None)  # one with its usual patience
    return app.test_client()


def make_hasty(client: FlaskClient) -> None:
    """Let the service's patience with the hub end soon."""
    service = client.application.extensions["service"]
    service.__dict__["_hub"] = replace(service._hub, limits=Limits(read=0.3, total=0.6))


def register(client: FlaskClient, **body: Any) -> Any:
    return client.post("/api/models", json={"repo_id": REPO, **body})


def test_a_model_of_the_hub(client: FlaskClient, hub: FakeHub) -> None:
    answer = register(client)
    assert answer.status_code == 201
    assert (answer.get_json()["name"], answer.get_json()["source"]) == ("tiny", "hub, revision main")
    assert hub.tokens() == [f"Bearer {SECRET}"] * 2
    assert client.get(f"/api/models/{REPO}").get_json()["checkpoint_bytes"] == 64
    assert client.delete("/api/models/tiny").status_code == 204


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (fake_hub.hang, 504, "hub_timeout"),
        (fake_hub.drip, 504, "hub_timeout"),
        (fake_hub.endless, 502, "hub_failed"),
        (fake_hub.cut_short, 502, "hub_failed"),
        (fake_hub.zipped, 502, "hub_failed"),
        (fake_hub.no_http, 502, "hub_failed"),
        (fake_hub.status(404), 404, "hub_not_found"),
        (fake_hub.status(401), 502, "hub_failed"),
        (fake_hub.status(500), 502, "hub_failed"),
        (fake_hub.redirect("http://169.254.169.254/latest/meta-data/"), 502, "hub_failed"),
        (fake_hub.redirect("https://cdn-lfs.hf.co.evil.example/x"), 502, "hub_failed"),
        (fake_hub.redirect(f"/{REPO}/resolve/main/config.json"), 502, "hub_failed"),
        (lambda handler: handler.send(200, b"[" * 1000), 502, "hub_failed"),
    ],
)
def test_what_goes_wrong_at_the_hub(
    client: FlaskClient, hub: FakeHub, answer: fake_hub.Answer, status: int, code: str
) -> None:
    hub.answers[f"/{REPO}/resolve/main/config.json"] = answer
    if status == 504:
        make_hasty(client)
    refused = register(client)
    assert check_error(refused, status)["code"] == code
    assert SECRET not in refused.get_data(as_text=True)
    assert client.get("/api/models/tiny").status_code == 404
    assert client.post("/api/memory/inference", json={"model_size": 7}).status_code == 200


def test_a_name_that_turns_inward_is_not_followed(
    make_app: AppMaker, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub's name first has a public address, then one inside: neither leads to what is inside."""
    answers = iter([["93.184.216.34"], ["127.0.0.1"]])
    begun: list[tuple[str, int]] = []

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in next(answers)]

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        begun.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr("app.registry.addresses.socket.getaddrinfo", resolve)
    monkeypatch.setattr("app.registry.connection.socket.create_connection", connect)
    port = int(hub.endpoint.rpartition(":")[2])
    client = make_app(hub_offline=False, hub_endpoint=f"http://hub.example:{port}").test_client()
    for _ in range(2):
        check_error(register(client), 502)
    assert begun == [("93.184.216.34", port)]
    assert hub.seen == []


@pytest.mark.parametrize("body", [{"repo_id": "../etc"}, {"revision": "../../x"}, {"name": "../x"}])
def test_names_stay_in_their_folder(client: FlaskClient, hub: FakeHub, body: dict[str, str]) -> None:
    check_error(register(client, **body), 400)
    assert not [path for path, _ in hub.seen if ".." in path]


def test_no_log_line_holds_the_token(
    client: FlaskClient, hub: FakeHub, caplog: pytest.LogCaptureFixture
) -> None:
    hub.answers[f"/{REPO}/resolve/main/config.json"] = fake_hub.status(500)
    caplog.set_level(logging.DEBUG)
    logging.getLogger("llm_estimate").addHandler(caplog.handler)
    try:
        register(client)
        client.post("/api/models", json={}, headers={"Authorization": f"Bearer {SECRET}"})
    finally:
        logging.getLogger("llm_estimate").removeHandler(caplog.handler)
    lines = [JsonLines().format(record) for record in caplog.records]
    assert not [line for line in lines if SECRET in line]
