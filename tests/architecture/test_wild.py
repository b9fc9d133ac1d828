"""Configurations in the wild: older names, missing types, remote code of known lineages."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.architecture import read_config
from app.architecture.wild import settle
from app.errors import DomainError, UnknownArchitecture

MODELS = Path(__file__).parents[2] / "configs" / "models"
LLAMA = {
    "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 96, "vocab_size": 100,
}  # fmt: skip

# Exact counts of the published checkpoints, multi-token-prediction layers left out.
REMOTE = {
    "Baichuan2-7B-Chat": 7_505_973_248,
    "deepseek-moe-16b-chat": 16_375_728_128,
    "internlm-7b": 7_321_948_160,
    "internlm2-7b": 7_737_708_544,
    "internlm2-chat-1_8b": 1_889_110_016,
    "EXAONE-3.5-2.4B-Instruct": 2_405_327_360,
    "EXAONE-3.5-7.8B-Instruct": 7_818_448_896,
    "MiniMax-M1-40k": 456_089_655_296,
    "MiniMax-Text-01": 456_089_655_296,
    "Kimi-K2-Instruct": 1_026_408_209_408,
    "Llama-3_3-Nemotron-Super-49B-v1": 49_867_145_216,
    "MiniCPM-2B-sft-bf16": 2_724_880_896,
    "MiniCPM4-8B": 8_185_253_888,
    "Orion-14B-Chat": 14_498_703_360,
    "Qwen-7B": 7_721_324_544,
    "Qwen-72B": 72_287_920_128,
    "snowflake-arctic-instruct": 478_584_608_768,
    "chatglm3-6b": 6_243_584_000,
    "glm-4-9b": 9_399_951_360,
    "MiMo-7B-Base": 7_622_619_136,
    # The published total, 7,392,274,432, counts 32 rotary buffers of 64 values as well.
    "Phi-3-small-8k-instruct": 7_392_274_432 - 32 * 64,
}


@pytest.mark.parametrize("name", REMOTE)
def test_remote_code_has_exact_counts(name: str) -> None:
    config = json.loads((MODELS / name / "config.json").read_text())
    assert read_config(config).parameters.total == REMOTE[name]


def test_hunyuan_large_has_its_published_size() -> None:
    """389 billion parameters, 52 billion active (arXiv 2411.02265)."""
    config = {
        "model_type": "hunyuan", "hidden_size": 6400, "intermediate_size": 18304, "num_hidden_layers": 64,
        "num_attention_heads": 80, "num_key_value_heads": 8, "vocab_size": 128512, "num_experts": 16,
        "use_mixed_mlp_moe": True, "use_qk_norm": True, "use_cla": True, "cla_share_factor": 2,
        "moe_topk": 1, "tie_word_embeddings": True,
    }  # fmt: skip
    architecture = read_config(config)
    assert round(architecture.parameters.total / 1e9) == 389
    head = architecture.parameters.embedding  # the tied matrix works twice
    assert round((architecture.parameters.active + head) / 1e9) == 52
    assert architecture.cache_bytes_per_token() == 32 * 2 * 8 * 80 * 2


def without(config: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name not in names}


@pytest.mark.parametrize(
    ("older", "today"),
    [
        ({"n_embd": 64}, "hidden_size"),
        ({"n_layer": 2}, "num_hidden_layers"),
        ({"num_layers": 2}, "num_hidden_layers"),
        ({"num_heads": 4}, "num_attention_heads"),
        ({"n_head_kv": 2}, "num_key_value_heads"),
        ({"ffn_hidden_size": 96}, "intermediate_size"),
        ({"padded_vocab_size": 100}, "vocab_size"),
    ],
)
def test_older_names(older: dict[str, Any], today: str) -> None:
    architecture = read_config({**without(LLAMA, today), **older})
    assert architecture.parameters.total == read_config(LLAMA).parameters.total
    assert [warning.code for warning in architecture.warnings] == ["wild_older_name"]
    assert today in architecture.warnings[0].text("en") and today in architecture.warnings[0].text("zh")


def test_todays_name_wins_over_an_older_one() -> None:
    settled = settle({**LLAMA, "n_embd": 9999})
    assert settled is not None and settled.config["hidden_size"] == 64 and not settled.warnings


def test_multi_query_is_one_key_value_head() -> None:
    one = read_config({**without(LLAMA, "num_key_value_heads"), "multi_query": True})
    assert one.parameters.total == read_config({**LLAMA, "num_key_value_heads": 1}).parameters.total


def test_old_falcon() -> None:
    """tiiuae/falcon-7b as first published: RefinedWebModel, n_layer, n_head."""
    old = {
        "model_type": "RefinedWebModel", "architectures": ["RWForCausalLM"], "hidden_size": 4544,
        "n_layer": 32, "n_head": 71, "multi_query": True, "parallel_attn": True, "bias": False,
        "vocab_size": 65024,
    }  # fmt: skip
    assert read_config(old).parameters.total == 6_921_720_704


@pytest.mark.parametrize(
    "named",
    [
        {"architectures": ["LlamaForCausalLM"]},
        {
            "architectures": ["SomethingElse"],
            "auto_map": {"AutoModelForCausalLM": "modeling_yi.YiForCausalLM"},
        },
        {"model_type": "brand-new", "architectures": ["LlamaForCausalLM"]},
    ],
)
def test_a_missing_or_unknown_type_is_told_by_the_class(named: dict[str, Any]) -> None:
    architecture = read_config({**without(LLAMA, "model_type"), **named})
    assert architecture.parameters.total == read_config(LLAMA).parameters.total
    assert [warning.code for warning in architecture.warnings] == ["wild_type_from_class"]


@pytest.mark.parametrize("name", ["text_config", "llm_config", "language_config"])
def test_a_nested_language_model_is_read_and_said(name: str) -> None:
    architecture = read_config({name: LLAMA, "torch_dtype": "float16"})
    assert architecture.parameters.total == read_config(LLAMA).parameters.total
    assert architecture.dtype == "float16"
    assert [warning.code for warning in architecture.warnings] == ["wild_text_only"]


def test_a_class_without_a_head_has_none() -> None:
    whole, bare = read_config(LLAMA), read_config({**LLAMA, "architectures": ["LlamaModel"]})
    assert whole.parameters.total - bare.parameters.total == 100 * 64
    assert next(bare.tensors()).name == "embed_tokens.weight"


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"hidden_size": 64},
        {"model_type": "brand-new"},
        {"architectures": ["NeverHeardOfIt"]},
        {"model_type": 7, "architectures": "LlamaForCausalLM"},
        {"model_type": "brand-new", "text_config": LLAMA},
        {"auto_map": {"AutoModelForCausalLM": 7}},
    ],
)
def test_what_cannot_be_known_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(UnknownArchitecture):
        read_config(config)


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "nemotron-nas", "block_configs": [{"attention": {}, "ffn": {}}] * 2},
        {"model_type": "nemotron-nas", "block_configs": [None, None]},
        {"model_type": "chatglm", "inner_hidden_size": 3},
        {"model_type": "minicpm", "num_experts": 8},
        {"model_type": "arctic", "num_local_experts": 2, "num_experts_per_tok": 9},
        {"model_type": "hunyuan", "num_experts": 4, "moe_topk": "many"},
    ],
)
def test_impossible_values_of_remote_lineages_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(DomainError):
        read_config({**LLAMA, **changes})


@pytest.mark.parametrize("name", ["InternVL3-1B-hf", "InternVL3-8B-hf"])
def test_chat_format_internvl_has_the_parameters_of_its_newer_form(name: str) -> None:
    newer = json.loads((MODELS / name / "config.json").read_text())
    vision = {
        "model_type": "intern_vit_6b", "hidden_size": 1024, "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096, "image_size": 448, "qkv_bias": True, "qk_normalization": False,
        "norm_type": "layer_norm",
    }  # fmt: skip
    chat = read_config({
        "model_type": "internvl_chat", "vision_config": vision, "llm_config": newer["text_config"]
    })  # fmt: skip
    assert chat.parameters.total == read_config(newer).parameters.total
    names = {tensor.name for tensor in chat.tensors()}
    assert {"vision_model.encoder.layers.23.ls2", "mlp1.3.bias", "language_model.model.norm.weight"} <= names


def test_phi3_vision_has_its_published_count() -> None:
    config = json.loads((MODELS / "Phi-3-vision-128k-instruct" / "config.json").read_text())
    assert read_config(config).parameters.total == 4_146_621_440


def test_kimi_k3_is_refused_not_guessed() -> None:
    config = json.loads((MODELS / "Kimi-K3" / "config.json").read_text())
    with pytest.raises(UnknownArchitecture, match="Kimi K3"):
        read_config(config)


def test_nested_language_models_go_by_their_lineage() -> None:
    text = {**LLAMA, "model_type": "Yi"}
    settled = settle({"model_type": "llava", "text_config": text})
    assert settled is not None and settled.config["text_config"]["model_type"] == "llama"
