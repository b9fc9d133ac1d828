# ruff: noqa: E501  (tables of configurations)
"""Training peaks against torch's MemTracker, live: the same cases as the golden file, which this writes.

python -m tests.oracles.test_training_peaks            # measures every case and writes the golden file
pytest tests/oracles/test_training_peaks.py            # measures a sample and compares with our figures
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.memory.training.predicted import phases as predicted
from tests.oracles.memory_tracker import Case, as_row, peak

GOLDEN = Path(__file__).parents[1] / "golden" / "training_peaks.json"
V = 32000
LORA = {"r": 16, "target_modules": "all-linear"}
ATTENTION_LORA = {"r": 8, "target_modules": ["q_proj", "v_proj"]}


def llama_like(
    model_type: str, hidden: int, inner: int, layers: int, heads: int, kv: int, **more: Any
) -> dict[str, Any]:
    """The usual field names."""
    return {
        "model_type": model_type, "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": kv, "vocab_size": V, **more,
    }  # fmt: skip


DENSE = {
    "llama": llama_like("llama", 2048, 8192, 3, 32, 8, tie_word_embeddings=False),
    "llama-tied": llama_like("llama", 2048, 8192, 2, 32, 8, tie_word_embeddings=True),
    "mistral": llama_like("mistral", 2048, 7168, 3, 16, 4, head_dim=128, sliding_window=1024),
    "qwen2": llama_like("qwen2", 896, 4864, 4, 14, 2, tie_word_embeddings=True),
    "qwen3": llama_like("qwen3", 1024, 3072, 4, 16, 8, head_dim=128, tie_word_embeddings=True),
    "phi3": llama_like("phi3", 1536, 4096, 3, 16, 16, sliding_window=None, pad_token_id=0),
    "gemma3_text": llama_like("gemma3_text", 1152, 6912, 6, 4, 1, head_dim=256, sliding_window=512),
    "olmo2": llama_like("olmo2", 1024, 4096, 3, 16, 16),
    "granite": llama_like("granite", 1024, 4096, 3, 16, 4),
    "cohere": llama_like("cohere", 1024, 4096, 3, 16, 16),
    "smollm3": llama_like("smollm3", 1024, 4096, 4, 16, 4, pad_token_id=0),
    "glm4": llama_like("glm4", 1024, 3072, 3, 16, 2, head_dim=64, pad_token_id=0),
    "exaone4": llama_like("exaone4", 1024, 3072, 4, 16, 4, sliding_window=512),
    "starcoder2": llama_like("starcoder2", 1024, 4096, 3, 16, 2, residual_dropout=0.0, embedding_dropout=0.0,
                             attention_dropout=0.0, sliding_window=None),
    "stablelm": llama_like("stablelm", 1024, 2816, 3, 16, 16),
    "gpt2": {"model_type": "gpt2", "n_embd": 768, "n_layer": 3, "n_head": 12, "vocab_size": V, "n_positions": 2048,
             "resid_pdrop": 0.0, "attn_pdrop": 0.0, "embd_pdrop": 0.0},
    "gpt2-dropout": {"model_type": "gpt2", "n_embd": 768, "n_layer": 3, "n_head": 12, "vocab_size": V,
                     "n_positions": 2048},
    "gpt_neox": {"model_type": "gpt_neox", "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 3,
                 "num_attention_heads": 16, "vocab_size": V},
    "falcon": {"model_type": "falcon", "hidden_size": 1024, "num_hidden_layers": 3, "num_attention_heads": 16,
               "vocab_size": V, "new_decoder_architecture": False, "multi_query": True, "parallel_attn": True,
               "bias": False, "alibi": False},
}  # fmt: skip
EAGER_ONLY = {
    "gemma2": llama_like("gemma2", 1152, 4608, 4, 8, 4, head_dim=128, sliding_window=512),
}
SPARSE = {
    "mixtral": llama_like("mixtral", 1024, 3584, 2, 16, 4, num_local_experts=8, num_experts_per_tok=2,
                          sliding_window=None),
    "qwen3_moe": llama_like("qwen3_moe", 1024, 3072, 3, 16, 4, head_dim=64, moe_intermediate_size=512,
                            num_experts=16, num_experts_per_tok=4, norm_topk_prob=True, tie_word_embeddings=False),
    "olmoe": llama_like("olmoe", 1024, 512, 2, 16, 16, num_experts=16, num_experts_per_tok=4),
    "deepseek_v3": llama_like("deepseek_v3", 1024, 2048, 3, 16, 16, moe_intermediate_size=512, first_k_dense_replace=1,
                              n_routed_experts=16, num_experts_per_tok=4, n_shared_experts=1, n_group=4, topk_group=2,
                              q_lora_rank=384, kv_lora_rank=256, qk_rope_head_dim=32, qk_nope_head_dim=64,
                              v_head_dim=64),
    "qwen3_next": llama_like("qwen3_next", 1024, 2048, 4, 8, 2, head_dim=128, moe_intermediate_size=256,
                             shared_expert_intermediate_size=256, num_experts=8, num_experts_per_tok=2,
                             linear_num_key_heads=8, linear_num_value_heads=16, linear_key_head_dim=64,
                             linear_value_head_dim=64),
}  # fmt: skip
SPARSE_EAGER = {
    "gpt_oss": llama_like("gpt_oss", 1024, 1024, 2, 16, 4, head_dim=64, num_local_experts=8, num_experts_per_tok=2,
                          sliding_window=128),
    "mamba2": {"model_type": "mamba2", "hidden_size": 1024, "num_hidden_layers": 2, "num_heads": 32, "head_dim": 64,
               "state_size": 64, "n_groups": 1, "chunk_size": 256, "vocab_size": V, "expand": 2},
}  # fmt: skip

ENCODERS = {
    "bert": {"model_type": "bert", "hidden_size": 768, "num_hidden_layers": 3, "num_attention_heads": 12,
             "intermediate_size": 3072, "vocab_size": V, "max_position_embeddings": 2048,
             "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "architectures": ["BertForMaskedLM"]},
}  # fmt: skip

COMMON: list[dict[str, Any]] = [
    {"batch": 2, "length": 1024},
    {"batch": 1, "length": 512, "foreach": False},
    {"batch": 3, "length": 768, "attention": "eager", "optimizer": "sgd"},
    {"batch": 4, "length": 1024, "checkpointing": True},
]
WIDE: list[dict[str, Any]] = [
    {"batch": 2, "length": 1024, "dtype": "float32", "optimizer": "sgd"},
    {"batch": 2, "length": 1024, "dtype": "float32", "autocast": True, "optimizer": "sgd"},
    {"batch": 1, "length": 1536, "lora": LORA},
]
ADAPTED: list[dict[str, Any]] = [
    {"batch": 4, "length": 1024, "lora": LORA, "checkpointing": True},
    {"batch": 1, "length": 1024, "attention": "eager", "lora": ATTENTION_LORA},
    {
        "batch": 1,
        "length": 2048,
        "dtype": "float32",
        "autocast": True,
        "checkpointing": True,
        "optimizer": "sgd",
    },
    {"batch": 8, "length": 256, "optimizer": "sgd"},
]


def cases() -> Iterator[tuple[str, Case]]:
    """Every case with the name of its model."""
    yield from crossed(DENSE, COMMON + WIDE)
    for name in ("llama", "llama-tied", "qwen3", "phi3", "gpt_neox"):
        named = name not in ("phi3", "gpt_neox")
        for options in ADAPTED:
            fused = "lora" in options and not named
            yield name, Case(DENSE[name], **({**options, "lora": LORA} if fused else options))
    yield from crossed(SPARSE, COMMON)
    yield from crossed(
        {name: SPARSE[name] for name in ("mixtral", "qwen3_moe", "olmoe", "deepseek_v3")},
        [WIDE[2], ADAPTED[0]],
    )
    yield from crossed({name: DENSE[name] for name in ("gpt2", "gemma3_text", "qwen2", "olmo2")}, ADAPTED[:1])
    biased = [{"batch": 2, "length": 1024, "lora": {**LORA, "bias": bias}} for bias in ("all", "lora_only")]
    yield from crossed({"qwen2": DENSE["qwen2"]}, biased)
    yield from crossed(ENCODERS, COMMON)
    yield from crossed(EAGER_ONLY | SPARSE_EAGER, [{**options, "attention": "eager"} for options in COMMON])


def crossed(configs: dict[str, dict[str, Any]], ways: list[dict[str, Any]]) -> Iterator[tuple[str, Case]]:
    """Each configuration trained each way."""
    for name, config in configs.items():
        for options in ways:
            yield name, Case(config, **options)


def write() -> None:
    """Measure every case that the golden file lacks, and write it."""
    rows = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else []
    known = {
        json.dumps({k: v for k, v in row.items() if k != "measured"}, sort_keys=True): row for row in rows
    }
    found = []
    for name, case in cases():
        row = {"name": name, **as_row(case)}
        old = known.get(json.dumps(row, sort_keys=True))
        try:
            found.append(old or {**row, "measured": peak(case)})
        except (RuntimeError, ValueError) as refused:
            print(name, case, str(refused)[:100], file=sys.stderr)
        text = ",\n".join(json.dumps(line) for line in found)
        GOLDEN.write_text(f"[\n{text}\n]\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "case"), list(cases())[::5], ids=lambda value: value if isinstance(value, str) else ""
)
def test_peak_is_the_trackers(name: str, case: Case) -> None:
    measured = peak(case)
    ours = predicted(as_row(case))
    phase = max(ours, key=lambda name: ours[name])
    assert abs(ours[phase] / measured["peak"] - 1) <= 0.05, name


if __name__ == "__main__":
    write()
