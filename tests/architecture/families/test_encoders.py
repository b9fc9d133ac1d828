"""Encoders for embeddings and reranking: bodies and classifiers by class, no cache.

Totals are those of the checkpoints on the Hugging Face hub.
"""

from typing import Any

import pytest

from app.architecture import read_config

BGE_M3 = {
    "model_type": "xlm-roberta",
    "vocab_size": 250002,
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "max_position_embeddings": 8194,
    "type_vocab_size": 1,
}
QWEN3 = {
    "model_type": "qwen3",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 320,
    "tie_word_embeddings": False,
}
PUBLISHED: dict[str, tuple[dict[str, Any], int]] = {
    "BAAI/bge-base-en-v1.5": ({"model_type": "bert", "architectures": ["BertModel"]}, 109_482_240),
    "BAAI/bge-m3": ({**BGE_M3, "architectures": ["XLMRobertaModel"]}, 567_754_752),
    "BAAI/bge-reranker-v2-m3": (
        {**BGE_M3, "architectures": ["XLMRobertaForSequenceClassification"], "id2label": {"0": "LABEL_0"}},
        567_755_777,
    ),
    "sentence-transformers/all-mpnet-base-v2": (
        {"model_type": "mpnet", "architectures": ["MPNetModel"], "max_position_embeddings": 514},
        109_486_464,
    ),
    "distilbert/distilbert-base-uncased": (
        {"model_type": "distilbert", "architectures": ["DistilBertModel"]},
        66_362_880,
    ),
    "answerdotai/ModernBERT-base": (
        {"model_type": "modernbert", "architectures": ["ModernBertModel"]},
        149_014_272,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_totals_are_those_of_the_checkpoints(name: str) -> None:
    config, total = PUBLISHED[name]
    model = read_config(config)
    assert model.parameters.total == total
    assert model.kind == "encoder"


@pytest.mark.parametrize("name", PUBLISHED)
def test_encoders_remember_nothing(name: str) -> None:
    assert read_config(PUBLISHED[name][0]).cache_bytes(4, 512) == 0


def test_a_decoder_without_its_head_is_a_body() -> None:
    whole = read_config({**QWEN3, "architectures": ["Qwen3ForCausalLM"]})
    body = read_config({**QWEN3, "architectures": ["Qwen3Model"]})
    assert whole.parameters.total - body.parameters.total == 320 * 64
    assert {"embed_tokens.weight", "norm.weight"} <= {tensor.name for tensor in body.tensors()}


@pytest.mark.parametrize(
    ("labels", "rows"), [({}, 2), ({"num_labels": 5}, 5), ({"id2label": {"0": "yes"}}, 1)]
)
def test_a_reranker_has_a_score_for_each_label(labels: dict[str, Any], rows: int) -> None:
    model = read_config({**QWEN3, "architectures": ["Qwen3ForSequenceClassification"], **labels})
    shapes = {tensor.name: tensor.shape for tensor in model.tensors()}
    assert shapes["score.weight"] == (rows, 64)
    assert "lm_head.weight" not in shapes


def test_deberta_has_a_table_of_relative_positions() -> None:
    config = {
        "model_type": "deberta-v2",
        "relative_attention": True,
        "position_buckets": 256,
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "position_biased_input": False,
    }
    shapes = {tensor.name: tensor.shape for tensor in read_config(config).tensors()}
    assert shapes["deberta.encoder.rel_embeddings.weight"] == (512, 1536)
    assert "deberta.embeddings.position_embeddings.weight" not in shapes


def test_albert_s_layers_share_their_weights() -> None:
    shallow, deep = (read_config({"model_type": "albert", "num_hidden_layers": n}) for n in (2, 12))
    assert shallow.parameters.total == deep.parameters.total
    assert deep.forward_flops(1, 8) > 5 * shallow.forward_flops(1, 8)
