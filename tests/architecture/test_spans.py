"""Lengths as plain PyTorch multiplies them, against counts of `FlopCounterMode` (transformers 5.23)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from app.architecture import read_config
from app.architecture.operations import Attention
from app.architecture.spans import (
    Blocks,
    BlocksAndGlobals,
    Grouped,
    Halved,
    Hashed,
    Pairs,
    Pattern,
    Remembered,
    Rounded,
    Sliding,
    Span,
    WithGroups,
)
from app.errors import InvalidConfig

LONGT5 = {
    "model_type": "longt5", "encoder_attention_type": "transient-global", "num_layers": 2, "d_model": 64,
    "d_ff": 96, "vocab_size": 300, "num_heads": 4, "d_kv": 16, "local_radius": 12,
}  # fmt: skip
PEGASUS_X = {
    "model_type": "pegasus_x", "encoder_layers": 3, "decoder_layers": 1, "d_model": 64,
    "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 96, "decoder_ffn_dim": 80,
    "vocab_size": 300, "block_size": 32, "num_global_tokens": 7,
}  # fmt: skip
LONGFORMER = {
    "model_type": "longformer", "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4,
    "intermediate_size": 96, "vocab_size": 300, "attention_window": [8, 16], "max_position_embeddings": 512,
}  # fmt: skip
REFORMER = {
    "model_type": "reformer", "attn_layers": ["lsh", "local"], "axial_pos_embds": False, "hidden_size": 32,
    "num_attention_heads": 2, "lsh_attn_chunk_length": 16, "local_attn_chunk_length": 24, "num_hashes": 3,
    "max_position_embeddings": 2048,
}  # fmt: skip
FUNNEL = {
    "model_type": "funnel", "block_sizes": [2, 1, 3], "d_model": 32, "n_head": 4, "d_head": 8, "d_inner": 64,
    "vocab_size": 100,
}  # fmt: skip

COUNTED: list[tuple[dict[str, Any], int, int, int]] = [
    (LONGT5, 2, 80, 71_069_696),
    (LONGT5, 1, 37, 14_637_568),
    (LONGT5 | {"local_radius": 127, "global_block_size": 20}, 1, 300, 272_243_712),
    (PEGASUS_X, 2, 80, 71_607_808),
    (PEGASUS_X, 3, 5, 29_812_992),
    (PEGASUS_X | {"num_global_tokens": 32, "stagger_local_blocks": False}, 1, 37, 27_324_416),
    (LONGFORMER, 2, 80, 27_443_200),
    (LONGFORMER, 3, 5, 6_597_120),
    (REFORMER, 2, 80, 57_475_072),
    (REFORMER, 3, 5, 3_517_440),
    (FUNNEL | {"block_repeats": [1, 2, 3]}, 2, 80, 40_903_680),
    (FUNNEL | {"attention_type": "factorized"}, 1, 37, 8_207_872),
    (FUNNEL | {"truncate_seq": False}, 2, 81, 33_703_168),
    (FUNNEL | {"separate_cls": False, "pool_q_only": False}, 3, 5, 1_744_256),
]


@pytest.mark.parametrize(("config", "batch", "length", "counted"), COUNTED)
def test_forward_flops(config: dict[str, Any], batch: int, length: int, counted: int) -> None:
    model = read_config(config)
    source = length if model.kind == "encoder_decoder" else 0
    assert model.forward_flops(batch, length, source=source) == counted


SPANS = [
    Rounded(16), Rounded(16, above=20, more=3), Halved(2, least=2, apart=True), WithGroups(16), Grouped(16),
    Pairs(Halved(1), Span()), Hashed(Rounded(16), 16, 2, (8, 4)), Hashed(Rounded(4), 4, 1, (), 8),
]  # fmt: skip
PATTERNS = [
    Sliding(8, Rounded(16)), Blocks(16, Rounded(16), grouped=8), BlocksAndGlobals(16, 2, staggered=True),
    Blocks(16, Rounded(48, above=16), 1, rounds=2, whole=True), Remembered(20), Remembered(1), Pattern(),
]  # fmt: skip
LENGTHS = [1, 2, 15, 16, 17, 40, 80, 4096]


@pytest.mark.parametrize("span", SPANS)
def test_spans_of_arrays(span: Span) -> None:
    assert span.rows(np.array(LENGTHS)).tolist() == [span.rows(n) for n in LENGTHS]  # type: ignore[attr-defined]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_of_arrays(pattern: Pattern) -> None:
    lengths = np.array(LENGTHS)
    both = zip(*(found.tolist() for found in pattern.pairs(lengths, lengths)), strict=True)  # type: ignore[attr-defined]
    assert list(both) == [pattern.pairs(n, n) for n in LENGTHS]


def test_windows_must_be_even_and_one_a_layer() -> None:
    for wrong in (7, [8], [8, 9], "8", [8, True]):
        with pytest.raises(InvalidConfig, match="attention_window"):
            read_config(LONGFORMER | {"attention_window": wrong})


def test_memory_and_speed_go_by_the_tokens_themselves() -> None:
    """Padding is in the count of the forward pass alone: the description's own extents are without it."""
    model = read_config(LONGFORMER)
    products = [op for _, op in model.operations() if isinstance(op, Attention)]
    assert [op.pattern for op in products] == [Sliding(8, Rounded(16)), Sliding(16, Rounded(16))]
    assert model.forward_flops(1, 1) == model.forward_flops(1, 16) - 15 * head_flops()


def head_flops() -> int:
    """The head runs on the tokens that were there before the padding."""
    return 2 * (64 * 64 + 64 * 300)


def test_a_picture_brings_in_the_layers_that_look_at_it() -> None:
    model = read_config({"model_type": "mllama"})
    assert model.forward_flops(1, 8, source=1) > 1.2 * model.forward_flops(1, 8)
