"""Encoder-decoders: two stacks, attention between them, a cache for each.

Totals are those of the checkpoints on the Hugging Face hub, tied matrices once.
"""

from typing import Any

import pytest

from app.architecture import Architecture, read_config
from app.errors import InvalidConfig, UnknownArchitecture

PUBLISHED: dict[str, tuple[dict[str, Any], int]] = {
    "facebook/bart-large": ({"model_type": "bart"}, 406_291_456),
    "google-t5/t5-base": (
        {"model_type": "t5", "d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12},
        222_903_552,
    ),
    "openai/whisper-tiny": ({"model_type": "whisper"}, 37_760_640),
}
BART = {
    "model_type": "bart",
    "d_model": 64,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 96,
    "decoder_ffn_dim": 96,
    "vocab_size": 100,
}


def bart(**changes: Any) -> Architecture:
    return read_config({**BART, **changes})


@pytest.mark.parametrize("name", PUBLISHED)
def test_totals_are_those_of_the_checkpoints(name: str) -> None:
    config, total = PUBLISHED[name]
    assert read_config(config).parameters.total == total


def test_the_cache_holds_own_tokens_and_the_encoder_s() -> None:
    per_token = 3 * 2 * 64 * 2  # layers x keys and values x width x bytes
    assert bart().cache_bytes(2, 10, source=7) == 2 * (10 + 7) * per_token
    assert bart().cache_bytes_per_token() == per_token


def test_whisper_always_sees_thirty_seconds() -> None:
    assert read_config({"model_type": "whisper"}).notes["source"] == 1500


def test_flops_of_the_encoder_grow_with_the_source_alone() -> None:
    model = bart()
    more_source = model.forward_flops(1, 10, source=20) - model.forward_flops(1, 10, source=10)
    encoder = 2 * 10 * 2 * (4 * 64 * 64 + 2 * 64 * 96) + 2 * 2 * 2 * 64 * (20 * 20 - 10 * 10)
    crossed = 3 * (2 * 10 * 2 * 64 * 64 + 2 * 10 * 10 * 2 * 64)
    assert more_source == encoder + crossed


def test_untied_tables_are_four() -> None:
    tied, untied = bart().parameters.total, bart(tie_word_embeddings=False).parameters.total
    assert untied - tied == 3 * 100 * 64


def test_experts_one_by_one_leave_most_parameters_idle() -> None:
    count = read_config({"model_type": "switch_transformers"}).parameters
    assert count.active < count.total


def test_two_models_of_any_kind_make_one() -> None:
    small = {
        "model_type": "bert",
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "vocab_size": 100,
    }
    reader = {**small, "hidden_size": 64, "is_decoder": True, "add_cross_attention": True}
    model = read_config({"model_type": "encoder-decoder", "encoder": small, "decoder": reader})
    assert model.kind == "encoder_decoder"
    assert "enc_to_dec_proj.weight" in {tensor.name for tensor in model.tensors()}


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidConfig):
        bart(decoder_attention_heads=7)
    with pytest.raises(UnknownArchitecture):
        read_config({"model_type": "seamless_m4t", "architectures": ["SeamlessM4TModel"]})
