"""Adapter sizes against PEFT on choices of targets that the per-type comparison does not make."""

from __future__ import annotations

from typing import Any

import pytest

from app.architecture import read_config
from tests.oracles import real_model

LLAMA = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 112, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 320,
    "architectures": ["LlamaForCausalLM"],
}  # fmt: skip
GPT2 = {
    "model_type": "gpt2", "n_embd": 48, "n_head": 4, "n_layer": 2, "vocab_size": 320, "n_positions": 64,
    "architectures": ["GPT2LMHeadModel"],
}  # fmt: skip
QWEN3_MOE = {
    "model_type": "qwen3_moe", "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "num_experts": 8, "num_experts_per_tok": 2, "vocab_size": 320,
    "moe_intermediate_size": 48, "intermediate_size": 96, "mlp_only_layers": [1],
    "architectures": ["Qwen3MoeForCausalLM"],
}  # fmt: skip

CHOICES: list[tuple[dict[str, Any], int, str | list[str]]] = [
    (LLAMA, 1, ["o_proj"]),
    (LLAMA, 16, ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]),
    (LLAMA, 8, ["embed_tokens"]),
    (LLAMA, 8, ["lm_head"]),
    (LLAMA, 8, ["layers.0.self_attn.q_proj"]),
    (LLAMA, 8, ["self_attn.q_proj"]),
    (GPT2, 4, ["c_attn"]),
    (GPT2, 4, ["c_proj"]),
    (GPT2, 4, ["mlp.c_proj"]),
    (GPT2, 4, ["wte", "wpe"]),
    (QWEN3_MOE, 4, ["q_proj", "gate_proj", "up_proj", "down_proj"]),
    (QWEN3_MOE, 4, ["down_proj"]),
    (QWEN3_MOE, 4, ["gate"]),
    (QWEN3_MOE, 8, "all-linear"),
]


@pytest.mark.parametrize(("config", "rank", "targets"), CHOICES)
def test_adapters_are_as_large_as_those_of_peft(
    config: dict[str, Any], rank: int, targets: str | list[str]
) -> None:
    real = real_model.lora_parameters(real_model.build(config), r=rank, target_modules=targets)
    assert read_config(config).lora_parameters(rank, targets) == real
