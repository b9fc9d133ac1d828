"""Which types a run keeps its weights, gradients and master copies in."""

from typing import Any

import pytest

from app.errors import InvalidRequest
from app.memory.requests import Lora, Model, TrainingRequest
from app.memory.training.estimate import estimate_training
from app.memory.training.recipes import recipe_of
from tests.memory.training.test_estimate import llama


def request(precision: str | None = None, quantization: str | None = None, **fields: Any) -> TrainingRequest:
    return TrainingRequest(Model(llama(), "small", precision, quantization), **fields)


@pytest.mark.parametrize(
    ("fields", "weights", "computed", "gradients", "master", "autocast"),
    [
        ({}, "bfloat16", 2, 2, 0, False),
        ({"mixed_precision": "bf16"}, "float32", 2, 4, 0, True),
        ({"mixed_precision": "bf16", "framework": "megatron"}, "bfloat16", 2, 4, 4, False),
        ({"mixed_precision": "fp16", "framework": "megatron"}, "float16", 2, 4, 4, False),
        ({"mixed_precision": "bf16", "framework": "deepspeed"}, "bfloat16", 2, 2, 4, False),
        ({"mixed_precision": "bf16", "fsdp": "fsdp2", "data_parallel": 8}, "float32", 2, 4, 0, False),
        ({"master_weights": True}, "bfloat16", 2, 2, 4, False),
        ({"gradient_dtype": "float32"}, "bfloat16", 2, 4, 0, False),
    ],
    ids=str,
)
def test_recipe(
    fields: dict[str, Any], weights: str, computed: int, gradients: int, master: int, autocast: bool
) -> None:
    recipe = recipe_of(request(**fields))
    assert (recipe.weights, recipe.compute_item, recipe.autocast) == (weights, computed, autocast)
    assert (recipe.gradient_item, recipe.master_item) == (gradients, master)


def test_megatron_keeps_18_bytes_a_parameter() -> None:
    maxima = estimate_training(request(mixed_precision="bf16", framework="megatron")).extra["maxima_bytes"]
    held = sum(maxima[name] for name in ("model_weights", "gradients", "optimizer_states"))
    assert held == 18 * llama().parameters.total


def test_qlora_stores_four_bits_and_a_little() -> None:
    whole = llama().parameters.total
    maxima = estimate_training(request(method="qlora", lora=Lora())).extra["maxima_bytes"]
    assert whole / 2 < maxima["model_weights"] < 1.5 * whole  # two in five are embeddings, which stay wide


def test_quantized_weights_are_not_trained() -> None:
    with pytest.raises(InvalidRequest):
        recipe_of(request(quantization="gptq"))
    with pytest.raises(InvalidRequest):
        recipe_of(request("int8"))
