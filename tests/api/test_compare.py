"""Many configurations side by side."""

import time
from typing import Any

import pytest
from flask.testing import FlaskClient

BASE = {"model_name": "Qwen3-8B", "gpu": "H100-80GB"}


def compare(client: FlaskClient, *configurations: Any, calculation: str = "inference") -> Any:
    body = {"calculation_type": calculation, "configurations": configurations}
    reply = client.post("/api/memory/compare", json=body)
    assert reply.status_code == 200, reply.get_json()
    return reply.get_json()


@pytest.mark.parametrize("calculation", ["inference", "training"])
def test_each_result_is_what_its_own_request_gets(client: FlaskClient, calculation: str) -> None:
    asked = [{**BASE, "batch_size": n, "explain": True} for n in (1, 2, 9)]
    found = compare(client, *asked, calculation=calculation)["results"]
    alone = [client.post(f"/api/memory/{calculation}", json=each).get_json() for each in asked]
    assert found == alone


def test_errors_stand_in_their_place(client: FlaskClient) -> None:
    wrong: list[Any] = [
        {"model_name": "Qwen3-7B"},
        {"batch_size": 0},
        7,
        None,
        {},
        {**BASE, "tensor_parallel": 3},
    ]
    results = compare(client, BASE, *wrong, BASE)["results"]
    assert [result.get("status", 200) for result in results] == [200, 404, 400, 400, 400, 400, 400, 200]
    assert all({"error", "code", "details"} <= set(result) for result in results[1:-1])
    assert results[1]["closest"][0] == "Qwen3-8B"


def test_the_summary_says_why(client: FlaskClient) -> None:
    found = compare(client, BASE, {**BASE, "batch_size": 8}, {**BASE, "quantization": "awq"})
    summary, results = found["summary"], found["results"]
    totals = [result["memory_bytes"]["inference_memory"] for result in results]
    assert summary["by"] == "inference_memory"
    assert totals[summary["smallest"]] == min(totals)
    assert totals[summary["largest"]] == max(totals)
    differences = {each["field"]: each for each in summary["differences"]}
    assert set(differences) == {"batch_size", "quantization"}
    assert differences["quantization"]["values"] == [None, None, "awq"]
    weights = [result["memory_bytes"]["model_weights"] for result in results]
    assert differences["quantization"]["bytes"]["model_weights"] == [0, 0, weights[2] - weights[0]]


def test_a_thousand_at_once(client: FlaskClient) -> None:
    asked = [{**BASE, "batch_size": n % 50 + 1, "sequence_length": 100 * (n % 37 + 1)} for n in range(1000)]
    started = time.process_time()
    results = compare(client, *asked)["results"]
    assert time.process_time() - started < 20
    assert len(results) == 1000
    assert all("memory_bytes" in result for result in results)
