"""Mixture-of-experts models whose sizes are published: totals are the Hub's safetensors counts."""

from typing import Any

import pytest

from app.architecture import read_config
from app.errors import InvalidConfig

MIXTRAL = {
    "model_type": "mixtral",
    "hidden_size": 6144,
    "num_hidden_layers": 56,
    "num_attention_heads": 48,
    "num_key_value_heads": 8,
    "vocab_size": 32768,
    "intermediate_size": 16384,
}
QWEN_MOE = {
    "model_type": "qwen2_moe",
    "tie_word_embeddings": False,
}  # the class's defaults are Qwen1.5-MoE-A2.7B
OLMOE = {"model_type": "olmoe", "intermediate_size": 1024, "num_key_value_heads": 16}
ERNIE = {"model_type": "ernie4_5_moe", "moe_layer_start_index": 1}
GLM = {
    "model_type": "glm4_moe",
    "hidden_size": 5120,
    "intermediate_size": 12288,
    "moe_intermediate_size": 1536,
    "num_hidden_layers": 92,
    "head_dim": 128,
    "n_routed_experts": 160,
    "first_k_dense_replace": 3,
    "attention_bias": True,
    "use_qk_norm": True,
}
DEEPSEEK_V2 = {
    "model_type": "deepseek_v2",
    "hidden_size": 5120,
    "intermediate_size": 12288,
    "moe_intermediate_size": 1536,
    "num_hidden_layers": 60,
    "num_attention_heads": 128,
    "n_routed_experts": 160,
    "num_experts_per_tok": 6,
    "first_k_dense_replace": 1,
}
HUNYUAN = {
    "model_type": "hunyuan_v1_moe",
    "intermediate_size": 3072,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "num_experts": 64,
    "moe_topk": 8,
    "vocab_size": 128167,
    "tie_word_embeddings": True,
}

PUBLISHED = [
    ("mistralai/Mixtral-8x22B-Instruct-v0.1", MIXTRAL, 140_630_071_296, 39_161_468_928),
    ("Qwen/Qwen1.5-MoE-A2.7B-Chat", QWEN_MOE, 14_315_784_192, 2_689_173_504),
    ("allenai/OLMoE-1B-7B-0924", OLMOE, 6_919_161_856, 1_282_017_280),
    ("baidu/ERNIE-4.5-21B-A3B-PT", ERNIE, 21_825_437_888, 3_352_150_208),
    ("zai-org/GLM-4.5", GLM, 352_797_814_784, 33_632_251_904),
    ("deepseek-ai/DeepSeek-Coder-V2-Instruct", DEEPSEEK_V2, 235_741_434_880, 21_375_800_320),
    ("deepseek-ai/DeepSeek-V3.2", {"model_type": "deepseek_v32"}, 671_877_929_216, 38_403_807_488),
    ("MiniMaxAI/MiniMax-M2", {"model_type": "minimax_m2", "rotary_dim": 64}, 228_689_748_992, 11_030_537_216),
    ("upstage/Solar-Open-100B", {"model_type": "solar_open"}, 102_651_793_408, 12_054_827_008),
    ("tencent/Hunyuan-A13B-Instruct", HUNYUAN, 80_393_183_232, 12_747_448_320),
]


@pytest.mark.parametrize(("name", "config", "total", "active"), PUBLISHED, ids=[row[0] for row in PUBLISHED])
def test_published_sizes(name: str, config: dict[str, Any], total: int, active: int) -> None:
    counted = read_config(config).parameters
    assert (counted.total, counted.active) == (total, active)


def test_more_experts_chosen_than_there_are() -> None:
    with pytest.raises(InvalidConfig) as raised:
        read_config({**MIXTRAL, "num_local_experts": 4, "num_experts_per_tok": 5})
    assert raised.value.problems[0].field == "config.num_experts_per_tok"


def test_routers_keep_their_corrections_as_buffers() -> None:
    tensors = {tensor.name: tensor for tensor in read_config({"model_type": "glm4_moe"}).tensors()}
    correction = tensors["model.layers.1.mlp.gate.e_score_correction_bias"]
    assert (correction.shape, correction.is_parameter) == ((128,), False)
    assert "model.layers.0.mlp.gate.weight" not in tensors  # the first layer is dense


def test_llama4_attends_in_chunks_where_positions_are_turned() -> None:
    layers = read_config({"model_type": "llama4_text"}).cache_layers
    chunks = {layer.keys_values.chunk: layer.count for layer in layers if layer.keys_values}
    assert chunks == {8192: 36, None: 12}


@pytest.mark.parametrize("index", [{"num_experts": [8] * 3}, {"moe_topk": [1, "two"] * 40}])
def test_hunyuan_numbers_by_layer_are_checked(index: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig):
        read_config({**HUNYUAN, **index})
