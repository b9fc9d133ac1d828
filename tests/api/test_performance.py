"""POST /api/performance/inference and /compare: the contract's keys, wrong requests, compares."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.api.schemas.answers import CompareSpeedAnswer, SpeedAnswer
from tests.api.shape import check_error

BASE = {"model_name": "Qwen3-8B", "gpu": "H100-80GB", "input_length": 512, "output_length": 64}
DRAFT = {"draft": "Qwen3-0.6B", "num_tokens": 3}
LATENCIES = ("ttft_ms", "tpot_ms", "itl_ms", "e2e_latency_ms")


def post(client: FlaskClient, status: int = 200, path: str = "inference", **body: Any) -> Any:
    reply = client.post(f"/api/performance/{path}", json=body)
    assert reply.status_code == status, reply.get_json()
    return check_error(reply, status) if status != 200 else reply.get_json()


@pytest.mark.parametrize(
    "load",
    [{"batch_size": 4}, {"request_rate": 4}, {"concurrency": 16}, {"request_rate": 4, "mode": "simulate"}],
)
def test_the_answer_has_every_key(client: FlaskClient, load: dict[str, Any]) -> None:
    answer = post(client, **BASE, **load, num_requests=200)
    assert not SpeedAnswer().validate(answer)
    static = "batch_size" in load
    assert (answer["percentiles"] is None) == static
    assert (answer["saturation"] is None) == static
    if not static:
        assert set(answer["percentiles"]) == set(LATENCIES)
        assert all(set(each) == {"p50", "p90", "p99"} for each in answer["percentiles"].values())
    assert set(answer["utilization"]) == {"compute", "memory_bandwidth", "memory_capacity"}
    assert answer["bottleneck"] in answer["time_shares"]
    for name in (*LATENCIES, "throughput_tokens_per_sec"):
        band = answer["performance_range"][name]
        assert band["low"] <= answer[name] * 1.0001
        assert answer[name] <= band["high"] * 1.0001
    assert answer["parameters"]["price_per_hour"] > 0
    assert answer["parameters"]["price_date"]
    assert answer["memory_bytes"]["inference_memory"] > 0


def test_memory_is_the_memory_endpoints(client: FlaskClient) -> None:
    answer = post(client, **BASE, batch_size=4)
    memory = client.post("/api/memory/inference", json={**BASE, "batch_size": 4}).get_json()
    for key in ("memory_bytes", "memory_requirements", "per_gpu", "fit", "capacity", "explanation"):
        assert answer[key] == memory[key]


def test_sequence_length_alone_is_all_read(client: FlaskClient) -> None:
    answer = post(client, model_name="Qwen3-8B", gpu="H100-80GB", sequence_length=1000)
    assert answer["parameters"]["input_length"] == 1000
    assert answer["parameters"]["output_length"] == 1
    assert answer["e2e_latency_ms"] == answer["ttft_ms"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"model_name": "Qwen3-8B"}, "gpu"),
        ({**BASE, "request_rate": 1, "concurrency": 2}, "request_rate"),
        ({**BASE, "request_rate": 0}, "request_rate"),
        ({**BASE, "mode": "guess"}, "mode"),
        ({**BASE, "prefix_hit_rate": 1.5}, "prefix_hit_rate"),
        ({**BASE, "gpu": {"memory_gb": 80}}, "gpu.memory_bandwidth_gb_s"),
        ({**BASE, "request_rates": 1}, "request_rates"),
        ({**BASE, "tensor_parallel": 3}, "tensor_parallel"),
        ({**BASE, "speculative": {**DRAFT, "acceptance_rate": 2}}, "speculative.acceptance_rate"),
    ],
)
def test_wrong_requests_name_the_field(client: FlaskClient, body: dict[str, Any], field: str) -> None:
    assert field in {detail["field"] for detail in post(client, 400, **body)["details"]}


def test_unknown_names_answer_404(client: FlaskClient) -> None:
    assert post(client, 404, **{**BASE, "gpu": "H1000"})["closest"]


def test_an_unsupported_kind_says_so(client: FlaskClient) -> None:
    assert post(client, 400, **{**BASE, "model_name": "t5-small"})["code"] == "not_supported_yet"


def test_idle_fields_are_said(client: FlaskClient) -> None:
    codes = {(w["code"], w["params"].get("field")) for w in post(client, **BASE, seed=3)["warnings"]}
    assert ("speed_idle_field", "seed") in codes
    codes = {
        (w["code"], w["params"].get("field"))
        for w in post(client, **BASE, batch_size=3, request_rate=1)["warnings"]
    }
    assert ("speed_idle_field", "batch_size") in codes


def test_definitions_follow_the_language_and_the_request(client: FlaskClient) -> None:
    english = post(client, **BASE)["definitions"]
    body = {**BASE, "tpot_definition": "all_tokens"}
    chinese = client.post(
        "/api/performance/inference", json=body, headers={"Accept-Language": "zh"}
    ).get_json()
    assert set(english) == set(chinese["definitions"])
    assert "端到端" in chinese["definitions"]["tpot_ms"]
    assert "definitions" not in post(client, **BASE, explain=False)


def test_top_operations(client: FlaskClient) -> None:
    assert len(post(client, **BASE, top_ops=3)["operations"]) == 3
    assert post(client, **BASE, top_ops=0)["operations"] == []


def test_compare(client: FlaskClient) -> None:
    asked = [{**BASE, "batch_size": n, "explain": True} for n in (1, 8)]
    answer = post(
        client, path="compare", calculation_type="inference", configurations=[*asked, {"gpu": "x"}, 3]
    )
    assert not CompareSpeedAnswer().validate(answer)
    assert answer["results"][:2] == [post(client, **each) for each in asked]
    assert [each["status"] for each in answer["results"][2:]] == [400, 400]
    assert (answer["summary"]["smallest"], answer["summary"]["largest"]) == (0, 1)


def test_at_most_64_at_once(client: FlaskClient) -> None:
    post(client, path="compare", calculation_type="inference", configurations=[BASE] * 64)
    wrong = post(client, 400, path="compare", calculation_type="inference", configurations=[BASE] * 65)
    assert wrong["details"][0]["field"] == "configurations"
