"""Lineages in Llama's shape: published totals, windows by layer, what each forward pass does differently.

Totals are those of the checkpoints on the Hugging Face hub (the safetensors index of each repository).
"""

from typing import Any

import pytest

from app.architecture import Architecture, read_config
from app.architecture.operations import Attention, Concat, Elementwise, Norm, Rotary
from app.errors import InvalidConfig


def config(
    model_type: str, hidden: int, layers: int, heads: int, inner: int, vocab: int, **more: Any
) -> dict[str, Any]:
    return {
        "model_type": model_type,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
        "vocab_size": vocab,
    } | more


def kinds(architecture: Architecture, operation: type) -> list[Any]:
    return [op for _, op in architecture.operations() if isinstance(op, operation)]


PUBLISHED = {
    "meta-llama/Llama-3.1-8B": (
        config("llama", 4096, 32, 32, 14336, 128256, num_key_value_heads=8),
        8_030_261_248,
    ),
    "mistralai/Mistral-7B-v0.1": (
        config("mistral", 4096, 32, 32, 14336, 32000, num_key_value_heads=8),
        7_241_732_096,
    ),
    "google/gemma-2b": (
        config("gemma", 2048, 18, 8, 16384, 256000, num_key_value_heads=1, head_dim=256),
        2_506_172_416,
    ),
    "microsoft/phi-2": (
        config("phi", 2560, 32, 32, 10240, 51200, partial_rotary_factor=0.4, tie_word_embeddings=False),
        2_779_683_840,
    ),
    "bigcode/starcoder2-3b": (
        config("starcoder2", 3072, 30, 24, 12288, 49152, num_key_value_heads=2, tie_word_embeddings=True),
        3_030_371_328,
    ),
    "allenai/OLMo-7B-hf": (config("olmo", 4096, 32, 32, 11008, 50304), 6_888_095_744),
    "allenai/OLMo-2-1124-7B": (config("olmo2", 4096, 32, 32, 11008, 100352), 7_298_617_344),
    "HuggingFaceTB/SmolLM3-3B": (
        config("smollm3", 2048, 36, 16, 11008, 128256, num_key_value_heads=4, tie_word_embeddings=True),
        3_075_098_624,
    ),
}


@pytest.mark.parametrize(("published", "total"), PUBLISHED.values(), ids=PUBLISHED)
def test_published_total(published: dict[str, Any], total: int) -> None:
    assert read_config(published).parameters.total == total


def test_every_fourth_layer_of_cohere2_sees_everything_without_positions() -> None:
    architecture = read_config(config("cohere2", 64, 8, 4, 128, 100, sliding_window=16))
    attended = {
        op.window: section.indices
        for section in architecture.of("decoder")
        for op in section.block.operations
        if isinstance(op, Attention)
    }
    turned = {section.indices for section, op in architecture.operations() if isinstance(op, Rotary)}
    assert attended == {16: (0, 1, 2, 4, 5, 6), None: (3, 7)}
    assert turned == {(0, 1, 2, 4, 5, 6)}


def test_a_turned_part_of_a_head_is_joined_with_the_rest_in_a_new_tensor() -> None:
    architecture = read_config(config("phi", 64, 2, 4, 128, 100))
    assert {op.head_dim for op in kinds(architecture, Rotary)} == {8}  # half of 16
    assert {op.output.width for op in kinds(architecture, Concat)} == {64}


def test_gemma_scales_its_embedding_and_gemma_2_caps_its_logits() -> None:
    gemma = read_config(config("gemma", 64, 2, 4, 128, 100, num_key_value_heads=2))
    gemma2 = read_config(config("gemma2", 64, 2, 4, 128, 100, num_key_value_heads=2))
    steps = [
        [op.kind for op in s.block.operations if isinstance(op, Elementwise)]
        for s in (*gemma.of("embedding"), *gemma.of("head"), *gemma2.of("head"))
    ]
    assert steps == [["scale"], [], ["scale", "tanh", "scale"]]


def test_norms_without_weights_own_nothing() -> None:
    olmo = read_config(config("olmo", 64, 2, 4, 128, 100))
    assert {op.style for op in kinds(olmo, Norm)} == {"layer_plain"}
    assert not any("norm" in tensor.name for tensor in olmo.tensors())


def test_passes_of_recurrent_depth_keep_a_cache_each_and_share_parameters() -> None:
    once = read_config(config("hrm_text", 64, 2, 4, 128, 100, head_dim=16, H_cycles=1, L_cycles=1))
    often = read_config(config("hrm_text", 64, 2, 4, 128, 100, head_dim=16, H_cycles=2, L_cycles=3))
    assert often.parameters.total == once.parameters.total
    assert often.cache_bytes(1, 10) == 4 * once.cache_bytes(1, 10)  # 2 x (3 + 1) passes to 1 x (1 + 1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_attention_heads", 0),
        ("num_attention_heads", 5),
        ("num_key_value_heads", 3),
        ("hidden_size", "wide"),
        ("num_hidden_layers", 1e9),
        ("head_dim", -1),
        ("rope_parameters", {"partial_rotary_factor": "half"}),
        ("attention_dropout", []),
    ],
)
def test_impossible_fields_are_named(field: str, value: object) -> None:
    with pytest.raises(InvalidConfig) as error:
        read_config(config("llama", 64, 2, 4, 128, 100) | {field: value})
    assert any("config." in problem.field for problem in error.value.problems)
