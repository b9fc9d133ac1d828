"""Models of a tower, a projector and a language model.

Totals are those of the checkpoints on the Hugging Face hub (safetensors headers), tied matrices once.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from app.architecture import Architecture, read_config
from app.errors import InvalidConfig, UnknownArchitecture

MODELS = Path(__file__).parents[3] / "configs" / "models"
PUBLISHED = {
    "llava-1.5-7b-hf": 7_063_427_072,
    "Qwen2.5-VL-7B-Instruct": 8_292_166_656,
    "gemma-3-4b-it": 4_300_079_472,
    "Llama-3.2-11B-Vision-Instruct": 10_670_220_835,
}
TEXT = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 320,
}
CLIP = {
    "model_type": "clip_vision_model",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 56,
    "patch_size": 14,
}


def llava(**changes: Any) -> Architecture:
    config = {"model_type": "llava", "text_config": TEXT, "vision_config": CLIP, **changes}
    return read_config(config)


def names(architecture: Architecture) -> set[str]:
    return {tensor.name for tensor in architecture.tensors()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_totals_are_those_of_the_checkpoints(name: str) -> None:
    config = json.loads((MODELS / name / "config.json").read_text(encoding="utf-8"))
    assert read_config(config).parameters.total == PUBLISHED[name]


def test_every_part_counts_under_its_component() -> None:
    parts = llava().parameters.by_component
    assert parts["projector"] == 32 * 64 + 64 + 64 * 64 + 64
    assert parts["head"] == 320 * 64
    assert parts["vision"] > 0
    assert sum(parts.values()) == llava().parameters.total


def test_a_picture_costs_patches_and_tokens() -> None:
    assert llava().notes["image"] == {"size": (56, 56), "patches": 17, "tokens": 16}
    assert llava().kind == "image_text"


def test_the_tower_costs_nothing_without_pictures() -> None:
    text_only = read_config({**TEXT, "tie_word_embeddings": False})
    assert llava().forward_flops(2, 10) == text_only.forward_flops(2, 10)
    assert llava().cache_bytes(2, 10) == text_only.cache_bytes(2, 10)


def test_the_text_says_whether_the_head_is_tied_where_the_outer_does_not() -> None:
    assert "lm_head.weight" in names(llava())
    assert "lm_head.weight" not in names(llava(text_config={**TEXT, "tie_word_embeddings": True}))


def test_older_files_have_the_text_beside_the_tower() -> None:
    flat = {**TEXT, "model_type": "qwen2_vl", "num_key_value_heads": 2}
    assert read_config(flat).hidden_size == 64


def test_attention_to_pictures_is_cached_by_their_patches() -> None:
    model = read_config({"model_type": "mllama"})
    own = model.cache_bytes(1, 10)
    per_patch = 8 * 2 * 8 * 128 * 2  # layers x keys and values x heads x width x bytes
    assert model.cache_bytes(1, 10, source=100) == own + 100 * per_patch


def test_unknown_parts_are_refused() -> None:
    for key in ("text_config", "vision_config"):
        with pytest.raises(UnknownArchitecture):
            llava(**{key: {"model_type": "never_heard_of"}})


def test_heads_must_divide_a_tower() -> None:
    with pytest.raises(InvalidConfig) as caught:
        llava(vision_config={**CLIP, "num_attention_heads": 3})
    assert caught.value.problems[0].field == "config.vision_config.num_attention_heads"


def test_a_bare_class_is_not_taken_for_the_whole_model() -> None:
    with pytest.raises(UnknownArchitecture):
        llava(architectures=["LlavaModel"])
