"""History: off by default, its owner's own, never in an estimate's way."""

from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.api.application import create_app
from app.api.keeping import LARGEST
from app.service.tokens import hash_of, new_token
from app.settings import read_settings

from .shape import check_error

ME = {"X-Browser-Id": "8sEvJ1zBzZ3Zkq0m1dYcVQ"}
YOU = {"X-Browser-Id": "f81d4fae-7dec-41d0-a765-00a0c91e6bf6"}
ASKED = {"model_name": "Qwen3-0.6B", "gpu": "L4"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    folder = tmp_path_factory.mktemp("history")
    return create_app(
        read_settings(
            {}, data_folder=folder, access_log=False, hub_offline=True, history=True, history_most=5
        )
    )


@pytest.fixture
def keeping(app: Flask) -> FlaskClient:
    """A client whose owners have no history yet."""
    client = app.test_client()
    for owner in (ME, YOU):
        assert client.delete("/api/history", headers=owner).status_code == 200
    return client


def _entries(client: FlaskClient, query: str = "", owner: dict[str, str] = ME) -> list[dict[str, Any]]:
    reply = client.get(f"/api/history{query}", headers=owner)
    assert reply.status_code == 200
    return list(reply.get_json()["entries"])


def test_off_by_default(client: FlaskClient) -> None:
    assert client.post("/api/memory/inference", json=ASKED, headers=ME).status_code == 200
    for method in ("get", "delete"):
        assert (
            check_error(client.open("/api/history", method=method, headers=ME), 404)["code"] == "history_off"
        )
    check_error(client.delete("/api/history/1", headers=ME), 404)


@pytest.mark.parametrize(
    ("path", "body", "kind", "figure"),
    [
        ("/api/memory/inference", ASKED, "memory_inference", "memory_bytes"),
        ("/api/memory/training", ASKED, "memory_training", "memory_bytes"),
        ("/api/performance/inference", ASKED, "performance_inference", "ttft_ms"),
        ("/api/performance/training", ASKED, "performance_training", "step_ms"),
        (
            "/api/recommend",
            {"task": "inference", "model_name": "Qwen3-0.6B", "gpus": ["L4"]},
            "recommend",
            "best",
        ),
        (
            "/api/v1/inference/estimate",
            {"model_name": "Qwen3-0.6B", "gpus": ["L4"]},
            "estimate_inference",
            "best",
        ),
        (
            "/api/v1/training/estimate",
            {"model_name": "Qwen3-0.6B", "gpus": ["L4"]},
            "estimate_training",
            "memory_bytes",
        ),
    ],
)
def test_every_kind_of_estimate(
    keeping: FlaskClient, path: str, body: object, kind: str, figure: str
) -> None:
    answer = keeping.post(path, json=body, headers=ME)
    assert answer.status_code == 200
    (entry,) = _entries(keeping)
    assert entry["kind"] == kind and entry["request"] == body
    assert entry["summary"]["model"] == "Qwen3-0.6B"
    assert entry["summary"][figure]
    if figure in answer.get_json():
        assert entry["summary"][figure] == answer.get_json()[figure]
    assert entry["created"].endswith("+00:00")


def test_owners_have_their_own(keeping: FlaskClient) -> None:
    keeping.post("/api/memory/inference", json=ASKED, headers=ME)
    keeping.post("/api/memory/inference", json={**ASKED, "gpu": "H100-80GB"}, headers=YOU)
    (mine,), (yours,) = _entries(keeping), _entries(keeping, owner=YOU)
    assert (mine["request"]["gpu"], yours["request"]["gpu"]) == ("L4", "H100-80GB")
    check_error(keeping.delete(f"/api/history/{yours['id']}", headers=ME), 404)
    assert keeping.delete(f"/api/history/{mine['id']}", headers=ME).status_code == 204
    check_error(keeping.delete(f"/api/history/{mine['id']}", headers=ME), 404)
    check_error(keeping.delete(f"/api/history/{2**63}", headers=ME), 404)
    assert keeping.delete("/api/history", headers=YOU).get_json() == {"deleted": 1}


def test_pages_words_and_the_most_that_stays(keeping: FlaskClient) -> None:
    for batch in range(1, 8):
        keeping.post("/api/memory/inference", json={**ASKED, "batch_size": batch}, headers=ME)
    keeping.post("/api/memory/training", json={**ASKED, "gpu": "H100-80GB"}, headers=ME)
    assert [each["request"].get("batch_size") for each in _entries(keeping)] == [None, 7, 6, 5, 4]
    assert [each["request"]["batch_size"] for each in _entries(keeping, "?limit=2&offset=1")] == [7, 6]
    assert len(_entries(keeping, "?search=h100+QWEN3")) == 1
    assert len(_entries(keeping, "?kind=memory_inference")) == 4
    assert keeping.get("/api/history?limit=1", headers=ME).get_json()["total"] == 5


@pytest.mark.parametrize("given", [None, "short", "a" * 40, "ü" * 30, "8sEvJ1zBzZ3Zkq0m1dYc Q!"])
def test_an_owner_is_needed_and_never_guessable(keeping: FlaskClient, given: str | None) -> None:
    headers = {} if given is None else {"X-Browser-Id": given}
    assert keeping.post("/api/memory/inference", json=ASKED, headers=headers).status_code == 200
    error = check_error(keeping.get("/api/history", headers=headers), 400)
    assert error["details"][0]["field"] == "X-Browser-Id"
    assert check_error(keeping.delete("/api/history", headers=headers), 400)["code"] == "invalid_request"


def test_a_tokens_history(app: Flask, keeping: FlaskClient) -> None:
    token = new_token()
    app.extensions["service"].store.tokens.add(hash_of(token), ("read",), "pipeline")
    bearer = {"Authorization": f"Bearer {token}"}
    keeping.post("/api/memory/inference", json=ASKED, headers=bearer)
    assert len(_entries(keeping, owner=bearer)) == 1
    assert _entries(keeping, owner={**bearer, **ME}) == _entries(keeping, owner=bearer), "the token counts"


def test_a_wrong_token_does_not_disturb_an_estimate(keeping: FlaskClient) -> None:
    wrong = {"Authorization": "Bearer llme_wrong", **ME}
    plain = keeping.post("/api/memory/inference", json=ASKED)
    reply = keeping.post("/api/memory/inference", json=ASKED, headers=wrong)
    assert reply.status_code == plain.status_code and reply.get_json() == plain.get_json()


def test_errors_and_what_is_too_large_are_not_kept(app: Flask, keeping: FlaskClient) -> None:
    assert keeping.post("/api/memory/inference", json={}, headers=ME).status_code == 400
    config = {"model_type": "llama", "num_hidden_layers": 1, "padding": "x" * LARGEST}
    assert keeping.post("/api/memory/inference", json={"config": config}, headers=ME).status_code == 200
    assert _entries(keeping) == []
    assert app.extensions["service"].store.dropped["history"] == 1


def test_odd_values_come_back_as_json(keeping: FlaskClient) -> None:
    config = {"model_type": "llama", "num_hidden_layers": 1, "huge": 2**70, "nul": "\0", "x": [[None, 1.5]]}
    assert keeping.post("/api/memory/inference", json={"config": config}, headers=ME).status_code == 200
    (entry,) = _entries(keeping)
    assert entry["request"]["config"]["nul"] == "\0"


def test_answers_are_the_same_with_and_without(keeping: FlaskClient, client: FlaskClient) -> None:
    asked = {"json": ASKED, "headers": ME}
    kept, plain = (each.post("/api/memory/inference", **asked) for each in (keeping, client))
    assert kept.get_data() == plain.get_data()


def test_nothing_is_kept_of_ids(app: Flask, keeping: FlaskClient) -> None:
    keeping.post("/api/memory/inference", json=ASKED, headers=ME)
    assert _entries(keeping)
    folder: Path = app.extensions["settings"].data_folder
    assert not any(ME["X-Browser-Id"].encode() in path.read_bytes() for path in folder.glob("store*"))
