"""GGUF files of the hub through the interface: registered, inspected, refused in the one shape."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.api.application import create_app
from app.settings import read_settings

from ..precision.models import config
from ..registry import fake_hub
from ..registry.fake_hub import FakeHub
from ..registry.gguf_models import converted
from ..registry.gguf_writer import gguf, llama
from .conftest import AppMaker
from .shape import check_error

REPO = "me/tiny-GGUF"
FILE = "Tiny-Q4_K_M.gguf"
TINY = gguf(*llama(kinds={"attn_v": "Q6_K", "output.": "Q6_K"}))
OTHER = gguf(*llama(architecture="nobody"))
CONFIG = {"model_type": "llama", "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2,
          "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 32}  # fmt: skip


@pytest.fixture(scope="module")
def running_hub() -> Iterator[FakeHub]:
    with fake_hub.running() as running:
        running.put(REPO, FILE, TINY)
        running.put(REPO, "Other.gguf", OTHER)
        running.put(REPO, "no.gguf", b"GGUF\x01\0\0\0" + b"\0" * 99)
        kinds = {"output.": "Q6_K", "attn_v": "Q5_K", "weight": "Q4_K"}
        running.put(REPO, "Llama-Q4.gguf", gguf(*converted(config("Llama-3.1-8B"), kinds), data=False))
        yield running


@pytest.fixture(scope="module")
def app(running_hub: FakeHub, tmp_path_factory: pytest.TempPathFactory) -> Flask:
    folder = tmp_path_factory.mktemp("data")
    environment = {"HF_ENDPOINT": running_hub.endpoint}
    return create_app(read_settings(environment, data_folder=folder, access_log=False, rate_limits={}))


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def register(client: FlaskClient, file: str = FILE, **body: Any) -> Any:
    return client.post("/api/models", json={"repo_id": REPO, "file": file, **body})


def inspected(client: FlaskClient, query: str = "", **body: Any) -> Any:
    return client.post(f"/api/models/inspect{query}", json={"repo_id": REPO, **body})


def test_a_file_is_registered_under_its_own_name(client: FlaskClient) -> None:
    answer = register(client)
    assert answer.status_code == 201, answer.get_json()
    found = client.get("/api/models/tiny-q4-k-m").get_json()
    assert found == answer.get_json()
    assert (found["name"], found["repo_id"], found["source"]) == ("Tiny-Q4_K_M", None, "hub, revision main")
    assert (found["model_type"], found["context_length"]) == ("llama", 512)
    assert found["checkpoint_bytes"] == found["gguf"]["bytes"]
    assert found["gguf"]["file_bytes"] == len(TINY)
    assert (found["gguf"]["repo_id"], found["gguf"]["files"]) == (REPO, [FILE])
    assert sum(each["bytes"] for each in found["gguf"]["types"].values()) == found["gguf"]["bytes"]
    assert found["gguf"]["metadata"]["tokenizer.ggml.tokens"] == {"length": 32}
    check_error(register(client), 409)
    assert register(client, name="another", revision="main").status_code == 201
    for name in ("Tiny-Q4_K_M", "another"):
        assert client.delete(f"/api/models/{name}").status_code == 204


def test_estimates_take_the_file_s_own_bytes(client: FlaskClient) -> None:
    """vLLM loads every tensor; llama.cpp leaves the embedding in RAM; a mix's name gives other bytes."""
    registered = register(client, "Llama-Q4.gguf").get_json()
    size = registered["checkpoint_bytes"] - 64 * 4  # the factors of the rotary positions are no weights
    embedding = 128256 * 4096 // 256 * 144

    def weights(**body: Any) -> int:
        reply = client.post("/api/memory/inference", json={"sequence_length": 64, **body}).get_json()
        return int(reply["memory_bytes"]["model_weights"])

    assert weights(model_name="Llama-Q4", backend="pytorch") == size
    assert weights(model_name="Llama-Q4", backend="llama.cpp") == size - embedding
    mix = {"model_name": "Llama-3.1-8B", "quantization": "q4_k_m", "backend": "pytorch"}
    assert weights(**mix) != size
    wrong = client.post(
        "/api/memory/inference",
        json={"model_name": "Llama-Q4", "quantization": "q4_k_m", "sequence_length": 64},
    )
    assert wrong.get_json()["code"] == "invalid_request"
    asked = {"task": "inference", "model_name": "Llama-Q4", "backend": "llama.cpp", "gpus": ["rtx-4090"]}
    plan = client.post("/api/recommend", json=asked).get_json()
    assert "--model Llama-Q4.gguf " in plan["options"][0]["launch"]["llama.cpp"][0]
    assert client.delete("/api/models/Llama-Q4").status_code == 204


def test_a_file_is_inspected_without_being_kept(client: FlaskClient) -> None:
    found = inspected(client, "?tensors=true&limit=2&offset=1", file=FILE).get_json()
    assert found["gguf"]["architecture"] == "llama"
    assert found["tensors"] == [
        {"name": "blk.0.attn_norm.weight", "shape": [256], "dtype": "f32", "bytes": 1024},
        {"name": "blk.0.attn_q.weight", "shape": [256, 256], "dtype": "q4_k", "bytes": 36864},
    ]
    assert (found["tensors_total"], found["tensors_offset"]) == (21, 1)
    assert client.get("/api/models/Tiny-Q4_K_M").status_code == 404


def test_an_architecture_that_is_not_mapped_needs_a_configuration(client: FlaskClient) -> None:
    for answer in (register(client, "Other.gguf"), inspected(client, file="Other.gguf")):
        assert "config" in check_error(answer, 422)["error"]
    found = inspected(client, file="Other.gguf", config=CONFIG).get_json()
    assert found["warnings"] == [] or [each["code"] for each in found["warnings"]] == ["dtype_unknown"]
    assert found["parameters"]["total"] == found["gguf"]["elements"]


def test_the_configuration_of_another_model_is_refused(client: FlaskClient) -> None:
    answer = check_error(inspected(client, file=FILE, config={**CONFIG, "vocab_size": 99999}), 400)
    assert answer["code"] == "invalid_config"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("", {"repo_id": REPO, "file": "../x.gguf"}, "file"),
        ("", {"repo_id": REPO, "file": "x.safetensors"}, "file"),
        ("", {"file": FILE}, "file"),
        ("", {"name": "x", "config": CONFIG, "file": FILE}, "file"),
        ("", {"repo_id": REPO, "config": CONFIG}, "config"),
        ("/inspect", {}, "config"),
        ("/inspect", {"repo_id": REPO}, "file"),
        ("/inspect", {"config": CONFIG, "file": FILE}, "file"),
        ("/inspect", {"config": CONFIG, "revision": "main"}, "revision"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    client: FlaskClient, path: str, body: dict[str, Any], field: str
) -> None:
    answer = check_error(client.post(f"/api/models{path}", json=body), 400)
    assert field in [each["field"] for each in answer["details"]]


def test_a_broken_file_is_the_hub_s_failure(client: FlaskClient) -> None:
    answer = check_error(register(client, "no.gguf"), 502)
    assert "no.gguf" in answer["error"] and answer["code"] == "hub_failed"
    check_error(register(client, "nowhere.gguf"), 404)


def test_inspecting_a_file_takes_leave_to_write(make_app: AppMaker, running_hub: FakeHub) -> None:
    """It lets the service ask the network; a configuration is anyone's to inspect."""
    app = make_app(host="0.0.0.0", hub_offline=False, hub_endpoint=running_hub.endpoint)
    client = app.test_client()
    running_hub.seen.clear()
    check_error(inspected(client, file=FILE), 403)
    assert running_hub.seen == []
    assert client.post("/api/models/inspect", json={"config": CONFIG}).status_code == 200


def test_offline_says_so(make_app: AppMaker) -> None:
    check_error(inspected(make_app().test_client(), file=FILE), 503)


def test_odd_metadata_is_kept_as_json(client: FlaskClient, running_hub: FakeHub) -> None:
    metadata, tensors = llama()
    odd = {"a.not_a_number": float("nan"), "a.text": b"\xff\0\x1b[31m", "a.long": "x" * 10_000}
    running_hub.put(REPO, "Odd.gguf", gguf(metadata | odd, tensors))
    assert register(client, "Odd.gguf").status_code == 201
    text = client.get("/api/models/Odd").get_data(as_text=True)
    found = json.loads(text, parse_constant=lambda name: pytest.fail(name))["gguf"]["metadata"]
    assert found["a.not_a_number"] is None
    assert found["a.text"] == "\ufffd\ufffd\x1b[31m"
    assert len(found["a.long"]) == 257
    assert client.delete("/api/models/Odd").status_code == 204
