"""Schemathesis over /openapi.json: generated requests, and every answer held to its published schema."""

import atexit
import tempfile
from pathlib import Path

import jsonschema
import pytest
import schemathesis
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, settings

from app.api.application import create_app
from app.settings import read_settings

from ..registry import fake_hub

STORE = tempfile.TemporaryDirectory()
HUB = fake_hub.running()  # that has nothing, so that registering from it fails as documented
atexit.register(HUB.__exit__, None, None, None)
APP = create_app(
    read_settings(
        {"HF_ENDPOINT": HUB.__enter__().endpoint},
        access_log=False, rate_limits={}, history=True, data_folder=Path(STORE.name),
    )
)  # fmt: skip
# What a schema cannot say: which names there are, and which values fit which others. Refusing such a request
# is right; to answer one that breaks the schema never is.
REFUSALS = [400, 401, 403, 404, 409, 410, 413, 414, 415, 422]
CONFIG = schemathesis.Config.from_dict(
    {
        "generation": {"mode": "all"},
        "checks": {
            "positive_data_acceptance": {"expected-statuses": ["2xx", "3xx", *REFUSALS]},
            "negative_data_rejection": {"expected-statuses": [405, *REFUSALS]},
        },
    }
)
schema = schemathesis.openapi.from_wsgi("/openapi.json", APP, config=CONFIG)
EXAMPLES = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
}


@schema.parametrize()
@settings(max_examples=3, phases=[Phase.generate], **EXAMPLES)
def test_generated_requests(case: schemathesis.Case) -> None:
    """Every check: never a failure of ours, a documented status, type and shape, wrong data refused."""
    case.call_and_validate()


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=25, **EXAMPLES)
def test_many_generated_requests(case: schemathesis.Case) -> None:
    """The same, longer, with each bound and each kind of wrong value tried."""
    case.call_and_validate()


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
    ("GET", "/api/analytics/summary", None),
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
