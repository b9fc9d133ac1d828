"""Models over HTTP: listings, inspections, users' own, the hub."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.registry import fake_hub

from .conftest import AppMaker
from .shape import check_error

TINY = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}


def get(client: FlaskClient, path: str) -> Any:
    reply = client.get(path)
    assert reply.status_code == 200, reply.get_json()
    return reply.get_json()


def test_all_models_unless_limited(client: FlaskClient) -> None:
    found = get(client, "/api/models")
    assert len(found["models"]) == found["total"] >= 120
    page = get(client, "/api/models?limit=5&offset=2")
    assert page["total"] == found["total"]
    assert page["models"] == found["models"][2:7]


def test_search_family_size_and_order(client: FlaskClient) -> None:
    found = get(
        client, "/api/models?search=QWEN3&family=qwen3_moe&min_params=1e9&max_params=1e12&sort=-parameters"
    )
    sizes = [model["parameters"] for model in found["models"]]
    assert sizes and sizes == sorted(sizes, reverse=True)
    assert {model["model_type"] for model in found["models"]} == {"qwen3_moe"}


@pytest.mark.parametrize("name", ["Qwen3-0.6B", "Qwen/Qwen3-0.6B", "qwen/qwen3_0.6b", "Qwen%2FQwen3-0.6B"])
def test_a_model_by_name_or_id(client: FlaskClient, name: str) -> None:
    found = get(client, f"/api/models/{name}")
    assert (found["name"], found["repo_id"]) == ("Qwen3-0.6B", "Qwen/Qwen3-0.6B")
    assert found["parameters"]["total"] == 596_049_920
    assert found["checkpoint_bytes"] == 2 * 596_049_920


@pytest.mark.parametrize(
    ("name", "total", "cache"),
    [("Llama-3.1-8B", 8_030_261_248, 131_072), ("Qwen3-8B", 8_190_735_360, 147_456)],
)
def test_figures_that_everyone_can_check(client: FlaskClient, name: str, total: int, cache: int) -> None:
    found = get(client, f"/api/models/{name}")
    assert (found["parameters"]["total"], found["cache_bytes_per_token"]) == (total, cache)
    assert sum(found["parameters"]["by_component"].values()) == total


def test_deepseek_v3(client: FlaskClient) -> None:
    found = get(client, "/api/models/DeepSeek-V3")
    assert found["parameters"]["total"] == 671_026_404_352
    assert found["cache_bytes_per_token"] == 70_272


def test_tensors_in_pages(client: FlaskClient) -> None:
    whole = get(client, "/api/models/Qwen3-0.6B?tensors=true")
    assert whole["tensors_total"] == len(whole["tensors"])
    page = get(client, "/api/models/Qwen3-0.6B?tensors=true&limit=3&offset=4")
    assert page["tensors"] == whole["tensors"][4:7]
    assert page["tensors"][0].keys() == {"name", "shape", "dtype"}


def test_inspecting_agrees_with_the_registry(client: FlaskClient) -> None:
    known = get(client, "/api/models/Qwen3-0.6B")
    found = client.post("/api/models/inspect", json={"config": known["config"]}).get_json()
    for key in ("parameters", "cache_bytes_per_token", "checkpoint_bytes", "context_length", "layers"):
        ignored = {"published", "published_difference"}
        if key == "parameters":
            assert {k: v for k, v in found[key].items() if k not in ignored} == {
                k: v for k, v in known[key].items() if k not in ignored
            }
        else:
            assert found[key] == known[key]


def test_a_users_model_from_start_to_end(make_app: AppMaker) -> None:
    client = make_app().test_client()
    assert client.post("/api/models", json={"name": "team/own-1", "config": TINY}).status_code == 201
    assert get(client, "/api/models/team/own-1")["config"] == TINY
    assert get(client, "/api/models?search=own-1")["total"] == 1
    wider = {**TINY, "hidden_size": 128}
    assert client.put("/api/models/team/own-1", json={"config": wider}).status_code == 200
    assert get(client, "/api/models/team/own-1")["config"]["hidden_size"] == 128
    check_error(client.post("/api/models", json={"name": "Team/Own_1", "config": TINY}), 409)
    assert client.delete("/api/models/team/own-1").status_code == 204
    check_error(client.get("/api/models/team/own-1"), 404)


def test_it_survives_a_restart(make_app: AppMaker) -> None:
    make_app().test_client().post("/api/models", json={"name": "kept", "config": TINY})
    assert make_app().test_client().get("/api/models/kept").status_code == 200


def test_a_configuration_that_does_not_read_is_not_kept(make_app: AppMaker) -> None:
    client = make_app().test_client()
    check_error(client.post("/api/models", json={"name": "x", "config": {**TINY, "hidden_size": -1}}), 400)
    check_error(client.get("/api/models/x"), 404)


def test_a_model_from_the_hub(make_app: AppMaker) -> None:
    with fake_hub.running() as hub:
        hub.put("maker/model-1", "config.json", TINY)
        hub.put(
            "maker/model-1",
            "model.safetensors",
            fake_hub.safetensors({"a.weight": fake_hub.tensor("BF16", [4, 8], 64)}),
        )
        client = make_app(hub_endpoint=hub.endpoint, hub_offline=False).test_client()
        made = client.post("/api/models", json={"repo_id": "maker/model-1"})
        assert made.status_code == 201, made.get_json()
        assert made.get_json()["checkpoint_bytes"] == 64
        assert get(client, "/api/models/model-1")["repo_id"] == "maker/model-1"
        assert client.post("/api/memory/inference", json={"model_name": "maker/model-1"}).status_code == 200
        check_error(client.post("/api/models", json={"repo_id": "maker/none"}), 404)


def test_calculations_never_touch_the_network(make_app: AppMaker) -> None:
    with fake_hub.running() as hub:
        client = make_app(hub_endpoint=hub.endpoint, hub_offline=False).test_client()
        check_error(client.post("/api/memory/inference", json={"model_name": "maker/unknown"}), 404)
        assert hub.seen == []


def test_a_listing_gives_details_of_the_models_that_are_named(client: FlaskClient) -> None:
    query = {"names": "Qwen3-30B-A3B,Qwen3-8B", "details": "true"}
    found = client.get("/api/models", query_string=query).get_json()
    assert found["total"] == 2
    for line in found["models"]:
        known = client.get(f"/api/models/{line['name']}").get_json()
        assert line["active_parameters"] == known["parameters"]["active"]
        assert line["context_length"] == known["context_length"]
        assert line["cache_bytes_per_token"] == known["cache_bytes_per_token"]


def test_details_are_for_a_page_of_models_only(client: FlaskClient) -> None:
    found = client.get("/api/models?details=true&family=llama").get_json()
    assert len(found["models"]) <= 100 < client.get("/api/models").get_json()["total"]
