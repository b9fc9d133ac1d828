"""The GPT line and its contemporaries: published totals, caches, stored forms.

Totals are those of the checkpoints on the Hugging Face hub, tied matrices once.
"""

from typing import Any

import pytest

from app.architecture import read_config
from app.architecture.operations import Attention, Elementwise

PUBLISHED: dict[str, tuple[dict[str, Any], int]] = {
    "openai-community/gpt2": ({"model_type": "gpt2"}, 124_439_808),
    "openai-community/gpt2-xl": (
        {"model_type": "gpt2", "n_embd": 1600, "n_layer": 48, "n_head": 25},
        1_557_611_200,
    ),
    "EleutherAI/gpt-j-6b": ({"model_type": "gptj", "tie_word_embeddings": False}, 6_050_882_784),
    "EleutherAI/pythia-70m": (
        {
            "model_type": "gpt_neox",
            "hidden_size": 512,
            "num_hidden_layers": 6,
            "num_attention_heads": 8,
            "intermediate_size": 2048,
            "vocab_size": 50304,
        },
        70_426_624,
    ),
    "facebook/opt-125m": ({"model_type": "opt"}, 125_239_296),
    "facebook/opt-350m": (
        {
            "model_type": "opt",
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "ffn_dim": 4096,
            "word_embed_proj_dim": 512,
            "do_layer_norm_before": False,
        },
        331_196_416,
    ),
    "bigscience/bloom-560m": (
        {"model_type": "bloom", "hidden_size": 1024, "n_layer": 24, "n_head": 16, "vocab_size": 250880},
        559_214_592,
    ),
    "mosaicml/mpt-7b": (
        {"model_type": "mpt", "d_model": 4096, "n_layers": 32, "n_heads": 32, "vocab_size": 50432},
        6_649_286_656,
    ),
    "tiiuae/falcon-7b": (
        {
            "model_type": "falcon",
            "hidden_size": 4544,
            "num_hidden_layers": 32,
            "num_attention_heads": 71,
            "vocab_size": 65024,
            "multi_query": True,
            "parallel_attn": True,
            "bias": False,
        },
        6_921_720_704,
    ),
}


@pytest.mark.parametrize(("published", "total"), PUBLISHED.values(), ids=PUBLISHED)
def test_published_total(published: dict[str, Any], total: int) -> None:
    assert read_config(published).parameters.total == total


def test_the_first_gpt_keeps_no_cache() -> None:
    assert read_config({"model_type": "openai-gpt"}).cache_bytes(1, 100) == 0


def test_newer_falcon_repeats_heads_before_the_cache_in_transformers_alone() -> None:
    falcon = read_config(
        {
            "model_type": "falcon",
            "hidden_size": 128,
            "num_attention_heads": 8,
            "num_kv_heads": 2,
            "num_hidden_layers": 1,
            "new_decoder_architecture": True,
        }
    )
    assert falcon.cache_bytes(1, 10, implementation="transformers") == 10 * 2 * 8 * 16 * 2
    assert falcon.cache_bytes(1, 10, implementation="compact") == 10 * 2 * 2 * 16 * 2


def test_scores_of_gptj_are_float32_and_its_branches_drop_out() -> None:
    gptj = read_config(
        {"model_type": "gptj", "n_embd": 64, "n_layer": 1, "n_head": 4, "rotary_dim": 8, "resid_pdrop": 0.2}
    )
    assert all(op.float32_scores for _, op in gptj.operations() if isinstance(op, Attention))
    assert [
        op.dropout for _, op in gptj.operations() if isinstance(op, Elementwise) and op.kind == "dropout"
    ] == [0.2] * 2


def test_a_learned_prompt_is_cached_with_every_sequence() -> None:
    small = {
        "model_type": "cpmant",
        "hidden_size": 64,
        "num_attention_heads": 4,
        "dim_head": 16,
        "dim_ff": 128,
        "num_hidden_layers": 1,
        "vocab_size": 100,
        "prompt_length": 32,
    }
    assert read_config(small).cache_bytes(2, 5) == 2 * (5 + 32) * 2 * 4 * 16 * 2
