"""A hub that is slow, lies, or sends elsewhere: who asked it is told so, and estimates go on meanwhile."""

import threading
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from app.api.application import create_app
from app.registry.hub import HubClient
from app.registry.transfer import Limits
from app.settings import read_settings
from tests.registry import fake_hub
from tests.registry.fake_hub import Answer, FakeHub

REPO = "me/tiny"
LLAMA = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}


@pytest.fixture(scope="module")
def hub() -> Iterator[FakeHub]:
    with fake_hub.running() as running:
        yield running


@pytest.fixture(scope="module")
def client(hub: FakeHub, tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """Of a service that asks that hub, and waits for it only briefly."""
    settings = read_settings({}, data_folder=tmp_path_factory.mktemp("data"), access_log=False)
    app = create_app(settings)
    limits = Limits(connect=2, read=0.4, total=0.8)
    app.extensions["service"].__dict__["_hub"] = HubClient(hub.endpoint, limits=limits)
    return app.test_client()


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (fake_hub.hang, 504),
        (fake_hub.drip, 504),
        (fake_hub.endless, 502),
        (fake_hub.cut_short, 502),
        (fake_hub.status(500), 502),
        (fake_hub.redirect("http://169.254.169.254/latest/meta-data"), 502),
        (fake_hub.redirect("file:///etc/passwd"), 502),
    ],
    ids=["hangs", "drips", "endless", "cut short", "fails", "redirects inside", "redirects to a file"],
)
def test_a_hub_that_misbehaves(client: FlaskClient, hub: FakeHub, answer: Answer, status: int) -> None:
    hub.put(REPO, "config.json", LLAMA)
    hub.answers[f"/{REPO}/resolve/main/config.json"] = answer
    found: list[int] = []
    asker = threading.Thread(
        target=lambda: found.append(client.post("/api/models", json={"repo_id": REPO}).status_code)
    )
    asker.start()
    other = client.application.test_client()
    assert other.post("/api/memory/inference", json={"config": LLAMA}).status_code == 200
    asker.join(60)
    assert found == [status]
    assert other.get("/api/models/tiny").status_code == 404  # nothing half read was kept


def test_a_hub_that_is_well_again_is_asked_again(client: FlaskClient, hub: FakeHub) -> None:
    hub.answers.clear()
    hub.put(REPO, "config.json", LLAMA)
    assert client.post("/api/models", json={"repo_id": REPO}).status_code == 201
    assert client.delete("/api/models/tiny").status_code == 204
