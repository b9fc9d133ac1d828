"""Latent attention, indexers, compressed and borrowed caches."""

import pytest

from app.architecture import read_config
from app.errors import InvalidConfig

# Bytes that transformers 5.23 keeps, class defaults, bfloat16: sequences, tokens.
KEPT = [
    ("deepseek_v3", 2, 5, 702_720),
    ("deepseek_v32", 3, 40, 10_306_560),
    ("glm_moe_dsa", 3, 40, 13_178_880),
    ("hy_v4", 3, 40, 5_007_360),
    ("dots3_note_text", 3, 519, 143_762_688),
    ("minicpm3", 3, 40, 4_285_440),
    ("gemma3n_text", 3, 519, 62_988_288),
    ("gemma4_text", 3, 519, 220_753_920),
    ("mimo_v2_flash", 3, 136, 86_077_440),
]


@pytest.mark.parametrize(("model_type", "batch", "length", "size"), KEPT)
def test_cache(model_type: str, batch: int, length: int, size: int) -> None:
    assert read_config({"model_type": model_type}).cache_bytes(batch, length) == size


def test_an_indexer_adds_a_key_of_its_own() -> None:
    with_indexer = read_config({"model_type": "deepseek_v32"}).cache_bytes_per_token()
    assert with_indexer == 61 * (512 + 64 + 128) * 2


def test_compressed_entries_come_one_at_a_time() -> None:
    """Layers that stand for four tokens with one entry, DeepSeek-V4: keys (512) and index keys (128)."""
    config = {
        "model_type": "deepseek_v4",
        "num_hidden_layers": 1,
        "layer_types": ["compressed_sparse_attention"],
    }
    model = read_config(config)
    window, waiting, entry, overlap = 512, 4 * (512 + 128), 512 + 128, 4 * 2 * (512 + 128)
    assert model.cache_bytes(1, 3) == 2 * (3 * window + 3 * waiting)
    assert model.cache_bytes(1, 4) == 2 * (4 * window + entry + overlap)
    assert model.cache_bytes(1, 9) == 2 * (9 * window + 2 * entry + overlap + waiting)


def test_borrowers_have_neither_keys_nor_a_cache() -> None:
    model = read_config({"model_type": "gemma3n_text"})
    names = {tensor.name for tensor in model.tensors()}
    assert "model.layers.19.self_attn.k_proj.weight" in names
    assert "model.layers.20.self_attn.k_proj.weight" not in names
    assert sum(layer.count for layer in model.cache_layers) == 20


def test_every_kind_of_layer_needs_one_that_makes_keys() -> None:
    types = ["sliding_attention"] * 3 + ["full_attention"]
    with pytest.raises(InvalidConfig) as raised:
        read_config({"model_type": "gemma4_text", "num_hidden_layers": 4, "layer_types": types,
                     "num_kv_shared_layers": 1})  # fmt: skip
    assert raised.value.problems[0].field == "config.num_kv_shared_layers"
