"""Nothing is accepted and ignored: a field changes the answer, is refused, or a warning says why not."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.api.schemas.inference import InferenceSchema
from app.api.schemas.model import FORMS
from app.api.schemas.training import TrainingSchema, ZeroOptimizationSchema
from app.service.sized import DIMENSIONS

DENSE = {"model_name": "Qwen3-8B", "gpu": "H100-80GB"}
EXPERTS = {"model_name": "Qwen3-30B-A3B", "gpu": "H200"}
PIPED = {**DENSE, "pipeline_parallel": 4, "gradient_accumulation_steps": 8}
SEEING = {"model_name": "Qwen2.5-VL-7B-Instruct", "gpu": "H100-80GB", "backend": "transformers"}
SIZED = {"model_size": 8, "gpu": "H100-80GB"}

# For each field: the request that it is put into, and another value than the default.
INFERENCE: dict[str, tuple[dict[str, Any], Any]] = {
    "precision": (DENSE, "float32"),
    "quantization": (DENSE, "awq"),
    "unit": (DENSE, "GiB"),
    "explain": (DENSE, False),
    "batch_size": (DENSE, 7),
    "sequence_length": (DENSE, 5000),
    "shared_prefix_length": ({**DENSE, "batch_size": 8}, 512),
    "input_length": (DENSE, 5000),
    "output_length": ({**DENSE, "input_length": 5000}, 900),
    "kv_cache_dtype": (DENSE, "fp8"),
    "backend": (DENSE, "transformers"),
    "backend_version": (DENSE, "0.11"),
    "attention": ({**DENSE, "backend": "transformers"}, "eager"),
    "tensor_parallel": (DENSE, 2),
    "pipeline_parallel": (DENSE, 2),
    "data_parallel": (DENSE, 2),
    "expert_parallel": ({**EXPERTS, "data_parallel": 2}, 2),
    "context_parallel": ({**DENSE, "tensor_parallel": 2}, 2),
    "gpu": (DENSE, "A100-80GB"),
    "gpus_per_node": ({**DENSE, "tensor_parallel": 2}, 1),
    "gpu_memory_utilization": (DENSE, 0.5),
    "max_num_seqs": (DENSE, 7),
    "max_num_batched_tokens": (DENSE, 4096),
    "block_size": ({**DENSE, "sequence_length": 2049}, 64),
    "enforce_eager": (DENSE, True),
    "max_loras": (DENSE, 4),
    "max_lora_rank": (DENSE, 64),
    "speculative": (DENSE, {"draft": "Qwen3-0.6B", "num_tokens": 3}),
    "images": (SEEING, {"count": 2, "width": 640, "height": 480}),
    "solve_for": (DENSE, "max_batch_size"),
}
TRAINING: dict[str, tuple[dict[str, Any], Any]] = {
    "precision": (DENSE, "float32"),
    "quantization": ({**DENSE, "method": "qlora"}, "nf4"),
    "unit": (DENSE, "GiB"),
    "explain": (DENSE, False),
    "method": (DENSE, "lora"),
    "lora": ({**DENSE, "method": "lora"}, {"rank": 64}),
    "trainable_parameters": (DENSE, 10),
    "mixed_precision": (DENSE, "bf16"),
    "optimizer": (DENSE, "Lion"),
    "momentum": ({**DENSE, "optimizer": "SGD"}, 0),
    "optimizer_dtype": (DENSE, "auto"),
    "gradient_dtype": (DENSE, "float32"),
    "master_weights": (DENSE, True),
    "optimizer_foreach": (DENSE, False),
    "optimizer_fused": (DENSE, True),
    "gradient_accumulation_steps": (DENSE, 4),
    "batch_size": (DENSE, 2),
    "sequence_length": (DENSE, 4096),
    "gradient_checkpointing": (DENSE, "full"),
    "checkpoint_every_n_layers": ({**DENSE, "gradient_checkpointing": "every_n"}, 7),
    "objective": (DENSE, "dpo"),
    "galore_rank": ({**DENSE, "optimizer": "GaLore"}, 512),
    "pipeline_schedule": (PIPED, "gpipe"),
    "pipeline_chunks": ({**PIPED, "pipeline_schedule": "interleaved"}, 4),
    "attention": (DENSE, "eager"),
    "fused_cross_entropy": (DENSE, True),
    "use_liger_kernel": (DENSE, True),
    "compile": (DENSE, True),
    "framework": ({**DENSE, "mixed_precision": "bf16"}, "megatron"),
    "zero_stage": ({**DENSE, "data_parallel": 8}, 3),
    "zero_optimization": ({**DENSE, "data_parallel": 8, "zero_stage": 3}, {"reduce_bucket_size": 10**8}),
    "fsdp": ({**DENSE, "data_parallel": 8}, True),
    "offload": (DENSE, {"optimizer": "cpu"}),
    "num_gpus": ({**DENSE, "zero_stage": 1}, 8),
    "data_parallel": ({**DENSE, "zero_stage": 1}, 8),
    "tensor_parallel": (DENSE, 2),
    "sequence_parallel": ({**DENSE, "tensor_parallel": 2, "framework": "megatron"}, True),
    "pipeline_parallel": (DENSE, 2),
    "context_parallel": (DENSE, 2),
    "expert_parallel": ({**EXPERTS, "data_parallel": 2}, 2),
    "expert_imbalance": ({**EXPERTS, "data_parallel": 8, "expert_parallel": 8}, 1.5),
    "gpu": (DENSE, "A100-80GB"),
    "gpus_per_node": ({**DENSE, "data_parallel": 8, "fsdp": "hsdp"}, 2),
    "solve_for": (DENSE, "max_batch_size"),
}
for _name in DIMENSIONS:
    _value = {"vocab_size": 65536, "num_key_value_heads": 4, "head_dim": 64}.get(_name, 2048)
    _value = {"num_hidden_layers": 20, "num_attention_heads": 16}.get(_name, _value)
    INFERENCE[_name] = TRAINING[_name] = (SIZED, _value)

CASES = [("inference", name, *case) for name, case in INFERENCE.items()]
CASES += [("training", name, *case) for name, case in TRAINING.items()]


def _ask(client: FlaskClient, calculation: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    reply = client.post(f"/api/memory/{calculation}", json=body)
    return reply.status_code, reply.get_json()


def _figures(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key not in ("parameters", "warnings")}


@pytest.mark.parametrize(
    ("calculation", "field", "base", "value"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES]
)
def test_a_field_is_never_ignored(
    client: FlaskClient, calculation: str, field: str, base: dict[str, Any], value: Any
) -> None:
    status, before = _ask(client, calculation, base)
    assert status == 200, before
    status, after = _ask(client, calculation, {**base, field: value})
    assert status == 200, after
    said = [warning for warning in after["warnings"] if warning["params"].get("field") == field]
    assert _figures(after) != _figures(before) or said


def test_every_field_is_tried() -> None:
    for schema, tried in ((InferenceSchema(), INFERENCE), (TrainingSchema(), TRAINING)):
        assert set(schema.fields) - set(FORMS) == set(tried)


INFINITE = {
    "config": {
        "model_type": "llama",
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "vocab_size": 32000,
    },
    "data_parallel": 2,
    "zero_stage": 3,
    "offload": {"optimizer": "nvme", "parameters": "nvme"},
}
ZERO = {
    "reduce_bucket_size": 10**8,
    "stage3_prefetch_bucket_size": 10**7,
    "stage3_max_live_parameters": 10**8,
    "stage3_max_reuse_distance": 10**8,
    "stage3_param_persistence_threshold": 2 * 10**7,
    "sub_group_size": 10**8,
    "max_in_cpu": 0,
    "param_buffer_count": 7,
    "param_buffer_size": 10**9,
    "optimizer_buffer_count": 6,
}


def test_every_size_of_deepspeed_is_tried() -> None:
    assert set(ZeroOptimizationSchema().fields) == set(ZERO)


@pytest.mark.parametrize("name", ZERO)
def test_a_size_of_deepspeed_matters_or_is_said(client: FlaskClient, name: str) -> None:
    before = _ask(client, "training", INFINITE)[1]
    status, after = _ask(client, "training", {**INFINITE, "zero_optimization": {name: ZERO[name]}})
    assert status == 200, after
    assert _figures(after) != _figures(before)
    after = _ask(client, "training", {**DENSE, "zero_optimization": {name: ZERO[name]}})[1]
    assert f"zero_optimization.{name}" in [warning["params"].get("field") for warning in after["warnings"]]


NEUTRAL: list[tuple[str, dict[str, Any], str]] = [
    ("inference", {**DENSE, "max_lora_rank": 8}, "max_lora_rank"),
    ("inference", {**DENSE, "attention": "eager"}, "attention"),
    ("inference", {**EXPERTS, "data_parallel": 2, "expert_parallel": 2}, "expert_parallel"),
    (
        "inference",
        {**EXPERTS, "backend": "llama.cpp", "data_parallel": 2, "expert_parallel": 2},
        "expert_parallel",
    ),
    ("training", {**DENSE, "momentum": 0.5}, "momentum"),
    ("training", {**DENSE, "lora": {"rank": 8}}, "lora"),
    ("training", {**DENSE, "method": "lora", "trainable_parameters": 5}, "trainable_parameters"),
    ("training", {**DENSE, "zero_stage": 2}, "zero_stage"),
    ("training", {**DENSE, "framework": "megatron", "use_liger_kernel": True}, "use_liger_kernel"),
    ("training", {**DENSE, "fsdp": True}, "fsdp"),
    ("training", {**EXPERTS, "data_parallel": 8, "expert_imbalance": 2}, "expert_imbalance"),
]


@pytest.mark.parametrize(("calculation", "body", "field"), NEUTRAL, ids=str)
def test_a_field_that_cannot_matter_is_said(
    client: FlaskClient, calculation: str, body: dict[str, Any], field: str
) -> None:
    status, answer = _ask(client, calculation, body)
    assert status == 200, answer
    assert field in [warning["params"].get("field") for warning in answer["warnings"]]
    without = {name: value for name, value in body.items() if name != field}
    assert _figures(answer) == _figures(_ask(client, calculation, without)[1])


def test_lora_plus_is_taken_by_the_names_its_users_know(client: FlaskClient) -> None:
    lora = _ask(client, "training", {**DENSE, "method": "lora"})[1]
    status, plus = _ask(client, "training", {**DENSE, "method": "LoRA+", "lora": {"loraplus_lr_ratio": 16}})
    assert status == 200, plus
    assert plus["parameters"]["method"] == "lora"
    assert _figures(plus) == _figures(lora)
    assert "lora.loraplus_lr_ratio" in [warning["params"].get("field") for warning in plus["warnings"]]


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("paged_adamw_8bit", "Paged 8-bit AdamW"),
        ("paged_adamw_32bit", "Paged AdamW"),
        ("galore_adamw", "GaLore"),
        ("galore_adamw_8bit", "8-bit GaLore"),
        ("lion_8bit", "8-bit Lion"),
        ("schedule_free_adamw", "Schedule-Free AdamW"),
    ],
)
def test_optimizers_by_the_names_of_training_arguments(
    client: FlaskClient, name: str, canonical: str
) -> None:
    status, answer = _ask(client, "training", {**DENSE, "optimizer": name})
    assert status == 200, answer
    assert answer["parameters"]["optimizer"] == canonical
