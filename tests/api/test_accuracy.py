"""Logs validated and accuracy reported over HTTP."""

from flask.testing import FlaskClient

LOG = "Model loading took 15.27 GiB memory and 3 seconds\nGPU KV cache size: 418,688 tokens\n"


def test_a_log_is_answered_term_by_term(client: FlaskClient) -> None:
    body = {
        "log": LOG,
        "model_name": "Qwen3-8B",
        "backend_version": "0.19",
        "sequence_length": 8192,
        "gpu_memory_utilization": 0.95,
        "gpu": {"name": "H100-80GB", "memory_gb": 79.19},
    }
    reply = client.post("/api/validate/log", json=body)
    assert reply.status_code == 200
    terms = {row["term"]: row for row in reply.get_json()["terms"]}
    assert set(terms) == {"weights_gib", "kv_tokens"}
    assert all(abs(row["error"]) < 0.005 for row in terms.values())


def test_what_is_wrong_with_a_log_is_said(client: FlaskClient) -> None:
    for body in (
        {},
        {"log": 1},
        {"log": "nothing"},
        {"log": LOG},
        {"log": LOG, "model_name": "x", "config": {}},
    ):
        reply = client.post("/api/validate/log", json=body)
        assert reply.status_code == 400, body
        assert reply.get_json()["details"]
    assert client.post("/api/validate/log", json={"log": LOG, "model_name": "Qwen3-7B"}).status_code == 404


def test_the_report_is_served(client: FlaskClient) -> None:
    found = client.get("/api/accuracy").get_json()
    weights = next(line for line in found["left_out"] if line["key"] == ["vllm", "weights_gib"])
    assert weights["median"] <= 0.001
    assert all(row["source"] for row in found["rows"])
