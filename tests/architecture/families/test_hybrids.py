"""State-space, linear-attention and hybrid models: published sizes, and the states they carry."""

from typing import Any

import pytest

from app.architecture import read_config
from app.errors import InvalidConfig

JAMBA = {
    "model_type": "jamba",
    "hidden_size": 8192,
    "intermediate_size": 24576,
    "num_hidden_layers": 72,
    "num_attention_heads": 64,
}
ZAMBA2 = {"model_type": "zamba2", "num_mem_blocks": 2, "n_mamba_heads": 80}
FALCON_H1 = {
    "model_type": "falcon_h1",
    "hidden_size": 1024,
    "intermediate_size": 2048,
    "num_hidden_layers": 36,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "mamba_d_ssm": 1536,
    "mamba_n_heads": 24,
    "mamba_d_state": 128,
    "vocab_size": 32784,
}
LFM2 = {
    "model_type": "lfm2",
    "hidden_size": 2048,
    "num_hidden_layers": 16,
    "full_attn_idxs": [2, 5, 8, 10, 12, 14],
}
QWEN_NEXT = {"model_type": "qwen3_next"}
GRANITE = {
    "model_type": "granitemoehybrid",
    "hidden_size": 2048,
    "num_hidden_layers": 40,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "num_local_experts": 0,
    "shared_intermediate_size": 4096,
    "vocab_size": 100352,
    "tie_word_embeddings": True,
    "layer_types": ["attention"] * 40,
}

FALCON_MAMBA = {
    "model_type": "falcon_mamba",
    "hidden_size": 4096,
    "num_hidden_layers": 64,
    "vocab_size": 65024,
    "tie_word_embeddings": False,
}
MAMBA = {"model_type": "mamba", "hidden_size": 2048, "num_hidden_layers": 48}

# Totals as the Hub's safetensors metadata count them.
PUBLISHED = [
    ("ai21labs/AI21-Jamba-Large-1.5", JAMBA, 398_555_145_696),
    ("Zyphra/Zamba2-2.7B", ZAMBA2, 2_662_214_560),
    ("tiiuae/Falcon-H1-0.5B-Base", FALCON_H1, 521_411_104),
    ("tiiuae/falcon-mamba-7b", FALCON_MAMBA, 7_272_665_088),
    ("state-spaces/mamba-1.4b-hf", MAMBA, 1_372_178_432),
    ("LiquidAI/LFM2-1.2B", LFM2, 1_170_340_608),
    ("ibm-granite/granite-4.0-1b", GRANITE, 1_631_750_144),
    ("Qwen/Qwen3-Coder-Next", QWEN_NEXT, 79_674_391_296),
]


@pytest.mark.parametrize(("name", "config", "total"), PUBLISHED, ids=[row[0] for row in PUBLISHED])
def test_published_sizes(name: str, config: dict[str, Any], total: int) -> None:
    assert read_config(config).parameters.total == total


# Bytes that transformers 5.23 keeps after 40 tokens of 3 sequences, class defaults, bfloat16.
KEPT = [
    ("mamba", 10_616_832),
    ("falcon_h1", 117_571_584),
    ("jamba", 51_511_296),
    ("zamba", 168_198_144),
    ("kimi_linear", 139_143_168),
    ("olmo_hybrid", 180_633_600),
    ("rwkv", 6_291_456),
    ("xlstm", 201_721_352),
    ("zaya", 5_560_320),
]


@pytest.mark.parametrize(("model_type", "size"), KEPT)
def test_states_beside_keys_and_values(model_type: str, size: int) -> None:
    assert read_config({"model_type": model_type}).cache_bytes(3, 40) == size


def test_states_do_not_grow() -> None:
    mamba = read_config({"model_type": "mamba2"})
    assert mamba.cache_bytes(2, 5) == mamba.cache_bytes(2, 5000)
    assert mamba.cache_bytes_per_token() == 0


def test_shared_blocks_are_counted_once_and_run_everywhere() -> None:
    shared = [s for s in read_config({"model_type": "zamba"}).sections if s.component == "shared"]
    assert [(section.count, section.copies) for section in shared] == [(13, 1)]


def test_nemotron_reads_its_pattern() -> None:
    model = read_config({"model_type": "nemotron_h", "hybrid_override_pattern": "M-M*E"})
    kinds = {section.kind.split(",")[0]: section.count for section in model.of("decoder")}
    assert kinds == {"linear_attention": 2, "mlp": 1, "full_attention": 1, "moe": 1}


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"model_type": "nemotron_h", "hybrid_override_pattern": "MX"}, "layers_block_type"),
        ({"model_type": "bamba", "mamba_n_heads": 96}, "mamba_d_head"),
        ({"model_type": "zamba", "n_mamba_heads": 3}, "n_mamba_heads"),
        ({"model_type": "lfm2", "layer_types": ["conv"]}, "layer_types"),
    ],
)
def test_impossible_hybrids_name_the_field(config: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidConfig) as raised:
        read_config(config)
    assert raised.value.problems[0].field == f"config.{field}"
