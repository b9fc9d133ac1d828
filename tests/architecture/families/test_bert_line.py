"""BERT's relatives and the decoder halves of encoder-decoders, by the class that a checkpoint names.

Totals are those of the checkpoints on the Hugging Face hub, tied matrices once and without the pooler.
"""

from typing import Any

import pytest

from app.architecture import Architecture, read_config
from app.architecture.operations import Attention

SMALL = {
    "d_model": 64,
    "decoder_layers": 2,
    "decoder_attention_heads": 4,
    "decoder_ffn_dim": 128,
    "vocab_size": 100,
}
PUBLISHED: dict[str, tuple[dict[str, Any], int]] = {
    "google-bert/bert-base-uncased": (
        {"model_type": "bert", "architectures": ["BertForMaskedLM"]},
        109_514_298,
    ),
    "FacebookAI/roberta-base": (
        {
            "model_type": "roberta",
            "architectures": ["RobertaForMaskedLM"],
            "max_position_embeddings": 514,
            "type_vocab_size": 1,
            "vocab_size": 50265,
        },
        124_697_433,
    ),
}


def attentions(architecture: Architecture) -> list[Attention]:
    return [op for _, op in architecture.operations() if isinstance(op, Attention)]


@pytest.mark.parametrize(("published", "total"), PUBLISHED.values(), ids=PUBLISHED)
def test_published_total(published: dict[str, Any], total: int) -> None:
    assert read_config(published).parameters.total == total


def test_bert_is_causal_and_cached_as_a_decoder_alone() -> None:
    encoder, decoder = (read_config({"model_type": "bert", "is_decoder": flag}) for flag in (False, True))
    assert [op.causal for op in attentions(encoder)] == [False]
    assert encoder.cache_bytes(2, 10) == 0
    assert [op.causal for op in attentions(decoder)] == [True]
    assert decoder.cache_bytes(2, 10) == 2 * 10 * 12 * 2 * 768 * 2
    assert {t.name for t in encoder.tensors()} == {t.name for t in decoder.tensors()}


def test_the_class_tells_a_decoder_half_from_the_whole() -> None:
    half = read_config({"model_type": "bart", "architectures": ["BartForCausalLM"]} | SMALL)
    names = {tensor.name for tensor in half.tensors()}
    assert not any("model.encoder" in name for name in names)
    assert "model.decoder.layers.1.encoder_attn.k_proj.bias" in names


def test_modules_that_a_text_only_pass_leaves_unused_cost_nothing_and_are_adapted() -> None:
    half = read_config({"model_type": "bart", "architectures": ["BartForCausalLM"]} | SMALL)
    tokens, per_layer = (
        2 * 8,
        4 * 64 * 64 + 2 * 64 * 128,
    )  # attention's four matrices and two of the feed-forward
    products = 2 * tokens * (2 * per_layer + 64 * 100) + 2 * 2 * 4 * 2 * 8 * 8 * (16 + 16)
    assert half.forward_flops(2, 8) == products
    assert half.lora_parameters(1, ["q_proj"]) == 2 * 2 * (64 + 64)  # of both attentions in both layers


def test_untied_heads_own_matrix_and_both_biases() -> None:
    bert = read_config(
        {"model_type": "bert", "architectures": ["BertForMaskedLM"], "tie_word_embeddings": False}
    )
    own = {
        t.name for t in bert.tensors() if t.name.startswith("cls.predictions.") and "transform" not in t.name
    }
    assert own == {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias", "cls.predictions.bias"}
