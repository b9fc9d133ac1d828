"""Plans and everything-in-one answers over HTTP: shape, contract errors, both languages."""

from typing import Any

import pytest
from flask.testing import FlaskClient

FEW = ["h100-sxm-80gb", "rtx-4090", "mi300x-192gb"]
SERVING = {
    "task": "inference",
    "model_name": "Qwen3-8B",
    "gpus": FEW,
    "input_length": 512,
    "output_length": 64,
}
TRAINING = {"task": "training", "model_name": "Qwen3-0.6B", "gpus": FEW, "tokens": 10**9}


def plan(client: FlaskClient, body: dict[str, Any], status: int = 200, **headers: str) -> Any:
    reply = client.post("/api/recommend", json=body, headers=headers)
    assert reply.status_code == status, reply.get_data(as_text=True)[:500]
    return reply.get_json()


def test_serving(client: FlaskClient) -> None:
    found = plan(client, {**SERVING, "targets": {"tpot_ms": 50, "statistic": "p90"}})
    assert found["task"] == "inference" and found["change"] is None
    assert [option["rank"] for option in found["options"]] == list(range(1, len(found["options"]) + 1))
    best = found["options"][0]
    assert best["memory"]["headroom_bytes"] >= 0 and best["why"] and best["launch"]["vllm"]
    assert best["price"]["per_million_tokens"] > 0 and best["price"]["currency"] == "USD"
    assert best["price"]["date"]
    assert {each["gpu"] for each in found["rejected"]} | {o["gpu"]["name"] for o in found["options"]} == set(
        FEW
    )


def test_training(client: FlaskClient) -> None:
    found = plan(client, TRAINING)
    best = found["options"][0]
    assert best["performance"]["days"] > 0 and best["settings"]["gradient_checkpointing"] in ("none", "full")
    assert set(best["launch"]) >= {"kubernetes"}


def test_currency_and_own_prices(client: FlaskClient) -> None:
    money = {"currency": "EUR", "exchange_rate": 0.5, "prices": {"RTX4090": 0.2}, "targets": {}}
    dollars = {o["gpu"]["name"]: o for o in plan(client, {**SERVING, "targets": {}})["options"]}
    euros = {o["gpu"]["name"]: o for o in plan(client, {**SERVING, **money})["options"]}
    assert euros["rtx-4090"]["price"]["per_hour"] == 0.2 * euros["rtx-4090"]["num_gpus"]
    assert euros["rtx-4090"]["price"]["date"] is None
    for name in set(dollars) & set(euros) - {"rtx-4090", "mi300x-192gb"}:
        each = [o["price"]["per_hour"] / o["num_gpus"] for o in (dollars[name], euros[name])]
        assert each[1] == pytest.approx(each[0] / 2, rel=1e-4)


def test_the_single_change(client: FlaskClient) -> None:
    asked = {"task": "inference", "model_name": "Llama-3.1-70B", "gpus": ["h100-sxm-80gb"], "max_gpus": 1,
             "quantizations": ["none"], "targets": {}}  # fmt: skip
    found = plan(client, asked)
    assert found["options"] == []
    assert list(found["change"]["fields"]) == ["quantization"]
    assert found["change"]["message"]


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"gpus": ["nothing-like-it"]}, 404, "gpus[0]"),
        ({"currency": "EUR"}, 400, "exchange_rate"),
        ({"exchange_rate": 2}, 400, "exchange_rate"),
        ({"task": "cooking"}, 400, "task"),
        ({"targets": {"tpot": 4}}, 400, "targets.tpot"),
        ({"targets": {"days": 4}}, 400, "targets.days"),
        ({"gpu": "H100"}, 400, "gpu"),
        ({"quantizations": ["fp7"]}, 400, "quantizations[0]"),
        ({"prices": {"H100": -1}}, 400, "prices.H100"),
        ({"max_gpus": 0}, 400, "max_gpus"),
    ],
)
def test_wrong_requests(client: FlaskClient, change: dict[str, Any], status: int, field: str) -> None:
    found = plan(client, {**SERVING, **change}, status)
    assert field in [each["field"] for each in found["details"]]


def test_costs_of_training_need_tokens(client: FlaskClient) -> None:
    asked = {name: value for name, value in TRAINING.items() if name != "tokens"}
    found = plan(client, {**asked, "targets": {"max_cost": 10}}, 400)
    assert found["details"][0]["field"] == "tokens"


def test_chinese(client: FlaskClient) -> None:
    found = plan(client, {**SERVING, "targets": {}}, **{"Accept-Language": "zh"})
    assert any("\u4e00" <= letter <= "\u9fff" for letter in found["options"][0]["why"][0]["message"])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            "inference",
            {"model_name": "Qwen3-8B", "gpu": "H100-80GB", "input_length": 512, "output_length": 64},
        ),
        ("inference", {"model_name": "Qwen3-8B"}),
        ("training", {"model_name": "Qwen3-0.6B", "gpu": "H100-80GB"}),
        ("training", {"model_name": "Qwen3-0.6B"}),
    ],
)
def test_everything_in_one_answer(client: FlaskClient, path: str, body: dict[str, Any]) -> None:
    reply = client.post(f"/api/v1/{path}/estimate", json={**body, "gpus": FEW})
    assert reply.status_code == 200, reply.get_data(as_text=True)[:500]
    found = reply.get_json()
    assert found["calculation_type"] == path
    assert found["memory"]["memory_bytes"] == found["memory_bytes"]
    assert found["performance"]["bottleneck"] and found["recommendation"]["options"]
    codes = [each["code"] for each in found["warnings"]]
    assert ("estimate_gpu_chosen" in codes) == ("gpu" not in body)


def test_what_there_is_to_choose_from(client: FlaskClient) -> None:
    backends = client.get("/api/v1/inference/backends").get_json()
    assert backends["default"] in [each["name"] for each in backends["backends"]]
    configs = client.get("/api/v1/training/configs").get_json()["configs"]
    assert {"method", "optimizer", "gradient_checkpointing"} <= set(configs)


def test_training_speed(client: FlaskClient) -> None:
    asked = {"model_name": "Qwen3-8B", "gpu": "H100-80GB", "num_gpus": 8, "fsdp": True, "tokens": 10**9,
             "mixed_precision": "bf16"}  # fmt: skip
    found = client.post("/api/performance/training", json=asked).get_json()
    parts = [value for name, value in found["breakdown_ms"].items() if name != "overlapped"]
    assert sum(parts) == pytest.approx(found["step_ms"], rel=1e-3)
    assert 0 < found["mfu"] < 1 and found["cost_usd"] > 0
    low, high = (found["performance_range"]["tokens_per_sec"][end] for end in ("low", "high"))
    assert low < found["tokens_per_sec"] < high
    assert client.post("/api/performance/training", json={"model_name": "Qwen3-8B"}).status_code == 400
