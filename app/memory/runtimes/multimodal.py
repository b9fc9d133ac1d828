"""What vLLM's profile run holds of images: the encoder's outputs and the dummy batch of pixels.

Source: vLLM `multimodal/encoder_budget.py` (`MultiModalBudget`), `v1/core/encoder_cache_manager.py`.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from ...architecture import Architecture
from ...lanes import least, most

CHANNELS: Final = 3
ELEMENT: Final = 2
LIMIT: Final = 999  # items of a kind in one prompt, unless limited
DYNAMIC_TOKENS: Final = 16384  # largest image of the Qwen-VL processors
DYNAMIC: Final = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe")


@lru_cache(maxsize=512)
def image(architecture: Architecture) -> tuple[int, int]:
    """Tokens and pixel values of the largest image; zeros for a model without a vision tower."""
    config = architecture.config
    vision = config.get("vision_config")
    if not isinstance(vision, Mapping) or not any(architecture.of("vision")):
        return 0, 0
    patch = _number(vision, "patch_size", 14)
    merge = _number(config, "spatial_merge_size", _number(vision, "spatial_merge_size", 1))
    if architecture.model_type in DYNAMIC:
        return DYNAMIC_TOKENS, DYNAMIC_TOKENS * merge**2 * CHANNELS * 2 * patch**2
    size = _number(vision, "image_size", 336)
    tokens = _number(config, "mm_tokens_per_image", (size // patch // merge) ** 2)
    return tokens, CHANNELS * size**2


def _number(config: Mapping[str, Any], name: str, otherwise: int) -> int:
    value = config.get(name)
    return value if isinstance(value, int) and value > 0 else otherwise


def multimodal_bytes(architecture: Architecture, tokens: int, sequences: int, length: int) -> int:
    """Encoder outputs and pixels of as many images as one step may encode [bytes]."""
    per_image, pixels = image(architecture)
    if not per_image:
        return 0
    budget = most(tokens, per_image)
    asked = sequences * most(1, least(LIMIT, length // per_image))
    items = most(1, least(budget // per_image, asked))
    return items * ELEMENT * (per_image * architecture.hidden_size + pixels)
