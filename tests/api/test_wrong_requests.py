"""Wrong requests of every kind: each is refused in the one shape, at once, never with a 500."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from ..hang import no_hang
from .shape import check_error

INFERENCE, TRAINING, COMPARE = "/api/memory/inference", "/api/memory/training", "/api/memory/compare"
INSPECT, MODELS = "/api/models/inspect", "/api/models"
SIZED = {"model_size": 7}
LLAMA = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}


def llama(**changes: Any) -> dict[str, Any]:
    return {"config": {**LLAMA, **changes}}


def sized(**changes: Any) -> dict[str, Any]:
    return {**SIZED, **changes}


# A path, a body, the status, and the field that the details name (None: no field is to blame).
FIELDS: list[tuple[str, Any, int, str | None]] = [
    (INFERENCE, {}, 400, "model_name"),
    (INFERENCE, {"model_name": "Qwen3-0.6B", "model_size": 7}, 400, "model_size"),
    (INFERENCE, {"model_name": "Qwen3-0.6B", **llama()}, 400, "config"),
    (INFERENCE, {"model_name": 7}, 400, "model_name"),
    (INFERENCE, {"model_name": ""}, 400, "model_name"),
    (INFERENCE, {"model_name": None}, 400, "model_name"),
    (INFERENCE, {"model_name": "x" * 600}, 400, "model_name"),
    (INFERENCE, {"model_name": "a\u0000b"}, 400, "model_name"),
    (INFERENCE, {"model_name": "no-such-model"}, 404, None),
    (INFERENCE, {"model_name": "../../etc/passwd"}, 404, None),
    (INFERENCE, {"model_name": "Qwen3-0.6B", "hidden_size": 64}, 400, "hidden_size"),
    (INFERENCE, {"model_size": 0}, 400, "model_size"),
    (INFERENCE, {"model_size": -7}, 400, "model_size"),
    (INFERENCE, {"model_size": "7"}, 400, "model_size"),
    (INFERENCE, {"model_size": 1e6}, 400, "model_size"),
    (INFERENCE, {"model_size": True}, 400, "model_size"),
    (INFERENCE, {"model_size": [7]}, 400, "model_size"),
    (INFERENCE, sized(hidden_size=100, num_attention_heads=3), 400, "num_attention_heads"),
    (INFERENCE, sized(num_hidden_layers=0), 400, "num_hidden_layers"),
    (INFERENCE, sized(batch_size=0), 400, "batch_size"),
    (INFERENCE, sized(batch_size=-1), 400, "batch_size"),
    (INFERENCE, sized(batch_size="4"), 400, "batch_size"),
    (INFERENCE, sized(batch_size=1.5), 400, "batch_size"),
    (INFERENCE, sized(batch_size=True), 400, "batch_size"),
    (INFERENCE, sized(batch_size=None), 400, "batch_size"),
    (INFERENCE, sized(batch_size=[1]), 400, "batch_size"),
    (INFERENCE, sized(batch_size={"a": 1}), 400, "batch_size"),
    (INFERENCE, sized(batch_size=2**20 + 1), 400, "batch_size"),
    (INFERENCE, sized(batch_size=2**63), 400, "batch_size"),
    (INFERENCE, sized(sequence_length=2**27 + 1), 400, "sequence_length"),
    (INFERENCE, sized(sequence_length=0), 400, "sequence_length"),
    (INFERENCE, sized(sequence_length=10, input_length=5), 400, "sequence_length"),
    (INFERENCE, sized(sequence_length=10, output_length=5), 400, "sequence_length"),
    (INFERENCE, sized(output_length=5), 400, "input_length"),
    (INFERENCE, sized(input_length=5, output_length=-1), 400, "output_length"),
    (INFERENCE, sized(tensor_parallel=2**17 + 1), 400, "tensor_parallel"),
    (INFERENCE, sized(data_parallel=0), 400, "data_parallel"),
    (INFERENCE, sized(precision="float99"), 400, "precision"),
    (INFERENCE, sized(precision=16), 400, "precision"),
    (INFERENCE, sized(quantization="q9_z"), 400, "quantization"),
    (INFERENCE, sized(kv_cache_dtype="wide"), 400, "kv_cache_dtype"),
    (INFERENCE, sized(backend="skynet"), 400, "backend"),
    (INFERENCE, sized(backend_version=1), 400, "backend_version"),
    (INFERENCE, sized(attention="self"), 400, "attention"),
    (INFERENCE, sized(gpu=3), 400, "gpu"),
    (INFERENCE, sized(gpu="no-such-gpu"), 404, None),
    (INFERENCE, sized(gpu={}), 400, "gpu.memory_gb"),
    (INFERENCE, sized(gpu={"memory_gb": "80"}), 400, "gpu.memory_gb"),
    (INFERENCE, sized(gpu={"memory_gb": -80}), 400, "gpu.memory_gb"),
    (INFERENCE, sized(gpu={"name": 5}), 400, "gpu.name"),
    (INFERENCE, sized(gpu={"memory_gb": 80, "memory": 80}), 400, "gpu.memory"),
    (INFERENCE, sized(gpu={"memory_gb": 80, "tflops": {"fp99": 1}}), 400, "gpu.tflops.fp99"),
    (INFERENCE, sized(gpu_memory_utilization=0), 400, "gpu_memory_utilization"),
    (INFERENCE, sized(gpu_memory_utilization=1.01), 400, "gpu_memory_utilization"),
    (INFERENCE, sized(gpu_memory_utilization="0.9"), 400, "gpu_memory_utilization"),
    (INFERENCE, sized(enforce_eager="yes"), 400, "enforce_eager"),
    (INFERENCE, sized(enforce_eager=1), 400, "enforce_eager"),
    (INFERENCE, sized(explain="no"), 400, "explain"),
    (INFERENCE, sized(unit="TB"), 400, "unit"),
    (INFERENCE, sized(speculative="draft"), 400, "speculative"),
    (INFERENCE, sized(speculative={}), 400, "speculative.draft"),
    (INFERENCE, sized(speculative={"draft": "x", "num_tokens": 0}), 400, "speculative.num_tokens"),
    (INFERENCE, sized(speculative={"draft": "x", "num_tokens": 1, "k": 1}), 400, "speculative.k"),
    (INFERENCE, sized(speculative={"draft": {}, "num_tokens": 1}), 400, "speculative.draft.model_name"),
    (INFERENCE, sized(solve_for="happiness"), 400, "solve_for"),
    (INFERENCE, sized(seqence_length=5), 400, "seqence_length"),
    (INFERENCE, sized(optimizer="AdamW"), 400, "optimizer"),
    (INFERENCE, sized(zzzzzz=1), 400, "zzzzzz"),
    (INFERENCE, {"config": []}, 400, "config"),
    (INFERENCE, {"config": "llama"}, 400, "config"),
    (INFERENCE, {"config": {}}, 422, "config.model_type"),
    (INFERENCE, {"config": {"model_type": 7}}, 422, "config.model_type"),
    (INFERENCE, {"config": {"model_type": "unheard_of"}}, 422, "config.model_type"),
    (INFERENCE, {"config": {"architectures": ["UnheardOfForCausalLM"]}}, 422, "config.model_type"),
    (INFERENCE, {"config": {"architectures": []}}, 422, "config.model_type"),
    (INFERENCE, llama(hidden_size="64"), 400, "config.hidden_size"),
    (INFERENCE, llama(hidden_size=-64), 400, "config.hidden_size"),
    (INFERENCE, llama(hidden_size=2**40), 400, "config.hidden_size"),
    (INFERENCE, llama(hidden_size=[64]), 400, "config.hidden_size"),
    (INFERENCE, llama(num_hidden_layers=10**9), 400, "config.num_hidden_layers"),
    (INFERENCE, llama(num_hidden_layers=1.5), 400, "config.num_hidden_layers"),
    (INFERENCE, llama(num_attention_heads=0), 400, "config.num_attention_heads"),
    (INFERENCE, llama(num_attention_heads=7, head_dim=None), 400, "config.num_attention_heads"),
    (INFERENCE, llama(vocab_size={"a": 1}), 400, "config.vocab_size"),
    (INFERENCE, llama(tie_word_embeddings="yes"), 400, "config.tie_word_embeddings"),
    (TRAINING, {}, 400, "model_name"),
    (TRAINING, sized(method="osmosis"), 400, "method"),
    (TRAINING, sized(lora={"rank": 0}), 400, "lora.rank"),
    (TRAINING, sized(lora={"rnak": 8}), 400, "lora.rnak"),
    (TRAINING, sized(lora={"target_modules": "all"}), 400, "lora.target_modules"),
    (TRAINING, sized(lora={"target_modules": [1]}), 400, "lora.target_modules[0]"),
    (TRAINING, sized(lora={"dropout": 2}), 400, "lora.dropout"),
    (TRAINING, sized(trainable_parameters=0), 400, "trainable_parameters"),
    (TRAINING, sized(trainable_parameters=101), 400, "trainable_parameters"),
    (TRAINING, sized(optimizer="AdamX"), 400, "optimizer"),
    (TRAINING, sized(momentum=-0.1), 400, "momentum"),
    (TRAINING, sized(zero_stage=4), 400, "zero_stage"),
    (TRAINING, sized(gradient_checkpointing="some"), 400, "gradient_checkpointing"),
    (TRAINING, sized(gradient_checkpointing=1), 400, "gradient_checkpointing"),
    (TRAINING, sized(fsdp=2), 400, "fsdp"),
    (TRAINING, sized(offload={"optimizer": "moon"}), 400, "offload.optimizer"),
    (TRAINING, sized(offload="cpu"), 400, "offload"),
    (TRAINING, sized(num_gpus=3, tensor_parallel=2), 400, "num_gpus"),
    (TRAINING, sized(num_gpus=8, data_parallel=2), 400, "num_gpus"),
    (TRAINING, sized(input_length=5), 400, "input_length"),
    (COMPARE, {}, 400, "calculation_type"),
    (COMPARE, {"calculation_type": "inference"}, 400, "configurations"),
    (COMPARE, {"calculation_type": "inference", "configurations": []}, 400, "configurations"),
    (COMPARE, {"calculation_type": "inference", "configurations": {}}, 400, "configurations"),
    (COMPARE, {"calculation_type": "inference", "configurations": [SIZED] * 1001}, 400, "configurations"),
    (COMPARE, {"calculation_type": "guess", "configurations": [SIZED]}, 400, "calculation_type"),
    (COMPARE, {"calculation_type": "inference", "configurations": [SIZED], "x": 1}, 400, "x"),
    (INSPECT, {}, 400, "config"),
    (INSPECT, {"config": None}, 400, "config"),
    (INSPECT, {"config": {"model_type": "llama"}, "name": "x"}, 400, "name"),
    (MODELS, {}, 400, "config"),
    (MODELS, {"name": "x"}, 400, "config"),
    (MODELS, {"config": LLAMA}, 400, "name"),
    (MODELS, {"config": LLAMA, "name": "x", "repo_id": "a/b"}, 400, "config"),
    (MODELS, {"config": LLAMA, "name": "x", "revision": "main"}, 400, "revision"),
    (MODELS, {"config": LLAMA, "name": "../x"}, 400, "name"),
    (MODELS, {"config": LLAMA, "name": "a/b/c"}, 400, "name"),
    (MODELS, {"config": LLAMA, "name": ".hidden"}, 400, "name"),
    (MODELS, {"config": LLAMA, "name": "Qwen3-0.6B"}, 409, None),
    (MODELS, {"config": LLAMA, "name": "qwen3_0.6b"}, 409, None),
    (MODELS, {"config": {"model_type": "unheard_of"}, "name": "x"}, 422, "config.model_type"),
    (MODELS, {"repo_id": "../../x"}, 400, "repo_id"),
    (MODELS, {"repo_id": "Qwen/Qwen3-0.6B-new"}, 503, None),
]

# A body that is no JSON object, its content type, the status.
BODIES: list[tuple[bytes, str | None, int]] = [
    (b"", "application/json", 400),
    (b"   ", "application/json", 400),
    (b"{", "application/json", 400),
    (b"{'model_size': 7}", "application/json", 400),
    (b'{"model_size": 7,}', "application/json", 400),
    (b'{"model_size": 7} {}', "application/json", 400),
    (b'{"model_size": NaN}', "application/json", 400),
    (b'{"model_size": Infinity}', "application/json", 400),
    (b'{"model_size": 1e999}', "application/json", 400),
    (b'{"model_size": 1' + b"0" * 400 + b"}", "application/json", 400),
    (b'{"model_size": 7, "batch_size": 1' + b"0" * 300 + b"}", "application/json", 400),
    (b'{"model_size": 7, "model_size": 8}', "application/json", 400),
    (b'{"model_size": 7, "gpu": {"memory_gb": 1, "memory_gb": 2}}', "application/json", 400),
    (b'{"model_name": "\xff\xfe"}', "application/json", 400),
    (b'{"model_name": "\xed\xa0\x80"}', "application/json", 400),
    (b'{"model_name": "\\ud800"}', "application/json", 400),
    (b'\xef\xbb\xbf{"model_size": 7}', "application/json", 400),
    (b'{"config": ' + b'{"a": ' * 100 + b"1" + b"}" * 100 + b"}", "application/json", 400),
    (b"[" * 100_000 + b"]" * 100_000, "application/json", 400),
    (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "application/json", 400),
    (b"[]", "application/json", 400),
    (b"7", "application/json", 400),
    (b"null", "application/json", 400),
    (b'"model_size"', "application/json", 400),
    (b'{"model_size": 7}', None, 415),
    (b'{"model_size": 7}', "text/plain", 415),
    (b'{"model_size": 7}', "application/jsonp", 415),
    (b"model_size=7", "application/x-www-form-urlencoded", 415),
    (b"{" + b" " * 2**20 + b"}", "application/json", 413),
]

# Method, path, status.
PATHS: list[tuple[str, str, int]] = [
    ("GET", "/api/memory/inference", 405),
    ("DELETE", "/api/gpus", 405),
    ("PUT", "/health", 405),
    ("PATCH", "/api/models/Qwen3-0.6B", 405),
    ("GET", "/api/memroy/inference", 404),
    ("GET", "/nothing/here", 404),
    ("GET", "/api/models/..%2f..%2fetc%2fpasswd", 404),
    ("GET", "/api/models/%00", 404),
    ("GET", "/api/models/" + "x" * 3000, 404),
    ("GET", "/api/models/Qwen3-7B", 404),
    ("GET", "/api/gpus/no-such", 404),
    ("DELETE", "/api/models/no-such", 404),
    ("DELETE", "/api/models/Qwen3-0.6B", 403),
    ("GET", "/api/models?limit=-1", 400),
    ("GET", "/api/models?limit=ten", 400),
    ("GET", "/api/models?limit=1&limit=2", 400),
    ("GET", "/api/models?sort=age", 400),
    ("GET", "/api/models?colour=red", 400),
    ("GET", "/api/models?min_params=nan", 400),
    ("GET", "/api/models/Qwen3-0.6B?tensors=1", 400),
    ("GET", "/api/models/Qwen3-0.6B?limit=50001&tensors=true", 400),
    ("GET", "/api/gpus?type=toaster", 400),
    ("GET", "/api/gpus?min_memory_gb=lots", 400),
    ("GET", "/docs/../server.py", 404),
    ("GET", "/docs/no-such.js", 404),
]


def _named(case: tuple[str, Any, int, str | None]) -> str:
    return f"{case[0].rsplit('/', 1)[-1]}-{json.dumps(case[1])[:60]}"


@pytest.mark.parametrize("case", FIELDS, ids=_named)
def test_wrong_fields(client: FlaskClient, case: tuple[str, Any, int, str | None]) -> None:
    path, body, status, field = case
    with no_hang():
        reply = client.post(path, json=body)
    fields = [detail["field"] for detail in check_error(reply, status)["details"]]
    assert field is None or field in fields


@pytest.mark.parametrize("case", BODIES, ids=lambda case: repr(case[0][:40]))
def test_wrong_bodies(client: FlaskClient, case: tuple[bytes, str | None, int]) -> None:
    body, content_type, status = case
    with no_hang():
        reply = client.post(INFERENCE, data=body, content_type=content_type)
    check_error(reply, status)


@pytest.mark.parametrize("case", PATHS, ids=lambda case: f"{case[0]}-{case[1][:50]}")
def test_wrong_paths(client: FlaskClient, case: tuple[str, str, int]) -> None:
    method, path, status = case
    reply = client.open(path, method=method, json={"config": LLAMA} if method in ("PUT", "PATCH") else None)
    check_error(reply, status)


def test_all_problems_are_named_at_once(client: FlaskClient) -> None:
    body = {
        "model_size": "x",
        "batch_size": 0,
        "lenght": 5,
        "gpu": 3,
        "sequence_length": 1,
        "input_length": 1,
    }
    found = check_error(client.post(INFERENCE, json=body), 400)
    named = {detail["field"] for detail in found["details"]}
    assert named == {"model_size", "batch_size", "lenght", "gpu", "sequence_length"}
    assert all(name in found["error"] for name in named)


def test_an_unknown_field_brings_the_closest(client: FlaskClient) -> None:
    found = check_error(client.post(INFERENCE, json=sized(sequence_lenght=5)), 400)
    assert "sequence_length" in found["details"][0]["message"]


def test_a_wrong_choice_brings_the_choices(client: FlaskClient) -> None:
    found = check_error(client.post(INFERENCE, json=sized(unit="TB")), 400)
    assert "GiB" in found["details"][0]["message"]
