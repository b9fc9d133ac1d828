"""Mutated configurations and logs through the interface: an answer or a refusal, no failure and no hang."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.architecture.test_fuzz import CASES, CONFIGS
from tests.service.test_log_reader import LLAMA_CPP, SGLANG, VLLM

from ..hang import no_hang

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=800, deadline=None, suppress_health_check=list(HealthCheck))
ASKED: list[tuple[str, dict[str, Any]]] = [
    ("models/inspect?tensors=true&limit=10", {}),
    ("memory/inference", {"gpu": "H100-80GB", "tensor_parallel": 2}),
    ("memory/inference", {"backend": "llama.cpp", "quantization": "q4_k_m"}),
    ("memory/training", {"method": "lora"}),
    ("memory/training", {"fsdp": True, "data_parallel": 8, "gpu": "H100-80GB"}),
    (
        "performance/inference",
        {"gpu": "H100-80GB", "request_rate": 2, "output_length": 50, "input_length": 50},
    ),
    ("performance/training", {"gpu": "H100-80GB", "num_gpus": 8}),
    ("recommend", {"task": "inference", "gpus": ["L4"]}),
]
LINES = [line for log in (VLLM, SGLANG, LLAMA_CPP) for line in log.splitlines()]
PIECES = st.sampled_from(
    [*LINES, "\x00", "\x1b[2J", "9" * 500, "1,000,000", "-1", "nan", "inf", "'", "{", "\\"]
)
LOGS = st.lists(PIECES | st.text(max_size=40), min_size=1, max_size=30).map("\n".join)


def ask(client: FlaskClient, path: str, body: dict[str, Any]) -> None:
    text = json.dumps(body, default=str)
    with no_hang():
        reply = client.post(f"/api/{path}", data=text, content_type="application/json")
    assert reply.status_code in (200, 400, 404, 413, 422), (path, text[:2000], reply.get_data(as_text=True))
    assert reply.status_code == 200 or reply.get_json()["code"]


def mutate_log(log: str, cut: tuple[int, int, str]) -> str:
    """The log with a stretch replaced by something else."""
    at, length, text = cut
    at %= len(log) + 1
    return log[:at] + text + log[at + length :]


CUTS = st.tuples(st.integers(0, 4000), st.integers(0, 30), st.text(max_size=20) | st.just("9" * 400))


@pytest.mark.parametrize("model_type", ["bart", "marian", "distilbert", "jetmoe", "zaya", "musicgen"])
def test_types_whose_training_once_failed(client: FlaskClient, model_type: str) -> None:
    """Heads in several sections, sums with parameters, blocks that hand on what they got."""
    config = next(each for each in CASES if each["model_type"] == model_type)
    for more in ({"method": "lora"}, {"fsdp": True, "data_parallel": 8}):
        ask(client, "memory/training", {"config": config, **more})


@pytest.mark.slow
@pytest.mark.parametrize(
    "asked", [each for each in ASKED if each[0] != "recommend"], ids=lambda each: each[0]
)
def test_every_type(client: FlaskClient, asked: tuple[str, dict[str, Any]]) -> None:
    for config in CASES[::3]:
        ask(client, asked[0], {"config": config, **asked[1]})


@QUICK
@given(CONFIGS, st.sampled_from(ASKED))
def test_any_configuration(
    client: FlaskClient, config: dict[str, Any], asked: tuple[str, dict[str, Any]]
) -> None:
    ask(client, asked[0], {"config": config, **asked[1]})


@QUICK
@given(
    LOGS, CUTS, st.sampled_from([{}, {"model_name": "Qwen3-0.6B"}, {"model_name": "Qwen3-8B", "gpu": "L4"}])
)
def test_any_log(client: FlaskClient, log: str, cut: tuple[int, int, str], more: dict[str, str]) -> None:
    ask(client, "validate/log", {"log": mutate_log(log, cut), **more})


@pytest.mark.slow
@LONG
@given(CONFIGS, st.sampled_from(ASKED))
def test_many_configurations(
    client: FlaskClient, config: dict[str, Any], asked: tuple[str, dict[str, Any]]
) -> None:
    ask(client, asked[0], {"config": config, **asked[1]})


@pytest.mark.slow
@LONG
@given(LOGS, CUTS)
def test_many_logs(client: FlaskClient, log: str, cut: tuple[int, int, str]) -> None:
    ask(client, "validate/log", {"log": mutate_log(log, cut), "model_name": "Qwen3-8B"})
