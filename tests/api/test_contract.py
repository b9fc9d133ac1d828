"""Schemathesis over /openapi.json: generated requests, and every answer held to its published schema."""

import tempfile
from pathlib import Path

import jsonschema
import pytest
import schemathesis
from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings

from app.api.application import create_app
from app.settings import read_settings

STORE = tempfile.TemporaryDirectory()
APP = create_app(read_settings({}, access_log=False, hub_offline=True, data_folder=Path(STORE.name)))
schema = schemathesis.openapi.from_wsgi("/openapi.json", APP)


@schema.parametrize()
@settings(
    max_examples=10, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
def test_generated_requests(case: schemathesis.Case) -> None:
    """Never a 500, a documented status, the documented shape."""
    from schemathesis.checks import not_a_server_error

    reply = case.call()
    if reply.status_code == 503:
        return
    case.validate_response(reply, checks=[not_a_server_error])


ASKED = [
    ("GET", "/health", None),
    ("GET", "/api/models?limit=2", None),
    ("GET", "/api/models/Qwen3-0.6B", None),
    ("POST", "/api/models/inspect", {"config": {"model_type": "llama"}}),
    ("GET", "/api/gpus", None),
    ("GET", "/api/gpus/V100", None),
    ("GET", "/api/config/options", None),
    ("POST", "/api/memory/inference", {"model_name": "Qwen3-0.6B", "gpu": "H100-80GB"}),
    ("POST", "/api/memory/training", {"model_name": "Qwen3-0.6B"}),
    ("POST", "/api/validate/log", {"log": "GPU KV cache size: 400,000 tokens", "model_name": "Qwen3-8B"}),
    ("GET", "/api/accuracy", None),
    ("POST", "/api/performance/training", {"model_name": "Qwen3-0.6B", "gpu": "H100-80GB"}),
    ("POST", "/api/recommend", {"task": "inference", "model_name": "Qwen3-0.6B", "gpus": ["L4"]}),
    ("POST", "/api/recommend", {"task": "training", "model_name": "Qwen3-0.6B", "gpus": ["L4"]}),
    ("POST", "/api/v1/inference/estimate", {"model_name": "Qwen3-0.6B", "gpus": ["L4"]}),
    ("POST", "/api/v1/training/estimate", {"model_name": "Qwen3-0.6B", "gpus": ["L4"]}),
    ("GET", "/api/v1/inference/backends", None),
    ("GET", "/api/v1/training/configs", None),
    (
        "POST",
        "/api/memory/compare",
        {"calculation_type": "inference", "configurations": [{"model_size": 7}, {"model_size": 8}, {}]},
    ),
]


@pytest.mark.parametrize(("method", "path", "body"), ASKED, ids=[f"{m} {p}" for m, p, _ in ASKED])
def test_answers_have_the_published_shape(client: FlaskClient, method: str, path: str, body: object) -> None:
    published = client.get("/openapi.json").get_json()
    reply = client.open(path, method=method, json=body)
    assert reply.status_code == 200
    template = next(rule for rule in _templates(published) if _fits(rule, path.partition("?")[0]))
    content = published["paths"][template][method.lower()]["responses"]["200"]["content"]
    answer = content["application/json"]["schema"]
    jsonschema.validate(reply.get_json(), {**answer, "components": published["components"]})


def _templates(published: dict[str, dict[str, object]]) -> list[str]:
    return sorted(published["paths"], key=lambda path: "{" in path)


def _fits(template: str, path: str) -> bool:
    start = template.partition("{")[0]
    return path == template or ("{" in template and path.startswith(start))


def test_errors_have_the_published_shape(client: FlaskClient) -> None:
    published = client.get("/openapi.json").get_json()
    error = published["components"]["schemas"]["Error"]
    reply = client.post("/api/memory/inference", json={}).get_json()
    jsonschema.validate(reply, {**error, "components": published["components"]})
    for path, methods in published["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                assert "default" in operation["responses"], (method, path)


def test_the_published_interface_is_valid_openapi_3_1(client: FlaskClient) -> None:
    published = client.get("/openapi.json").get_json()
    assert published["openapi"].startswith("3.1")
    for name, each in published["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(each), name
    inference = published["components"]["schemas"]["Inference"]["properties"]
    assert inference["batch_size"]["maximum"] == 2**20
    assert inference["gpu_memory_utilization"]["exclusiveMinimum"] == 0
