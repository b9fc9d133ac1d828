"""What a picture of a size costs a model: tokens in the sequence, rows in the encoder, values of pixels.

A tower either scales every picture to one size (or takes it as one tile), or cuts it as it comes into
patches of which `merge` become one token; then each side is rounded to whole tokens (`smart_resize` of the
Qwen-VL image processors; Pixtral and Kimi round likewise).
"""

from functools import lru_cache
from math import isqrt, sqrt
from typing import Any, Final

from msgspec import Struct

from ..architecture import Architecture
from ..architecture.operations import Attention, KeyValueCache, Norm
from ..parallelism import Layout
from .activations import feed_forward_width

CHANNELS: Final = 3
MOST_TOKENS: Final = 16384  # of one picture: `max_pixels` of the Qwen-VL processors, 16384 tokens
TILED: Final = frozenset(
    {
        "aria", "aya_vision", "cohere2_vision", "deepseek_vl_hybrid", "got_ocr2", "idefics2", "idefics3",
        "internvl", "internvl_chat", "llama4", "llava_next", "llava_next_video", "llava_onevision", "mllama",
        "perception_lm", "phi3_v", "phi4_multimodal", "smolvlm",
    }
)  # fmt: skip


class Picture(Struct, frozen=True):
    """Of one picture: `tokens` in the sequence, `patches` in the encoder, `pixels` as the tower takes them.

    `tiled`: the processor may cut a larger picture into tiles, each of which costs as much again.
    """

    tokens: int
    patches: int
    pixels: int
    tiled: bool = False


@lru_cache(maxsize=1024)
def picture(architecture: Architecture, width: int, height: int) -> Picture | None:
    """The cost of a picture of `width` by `height` pixels; None for a model that sees none."""
    notes: dict[str, Any] = architecture.notes.get("image") or {}
    if "patch" in notes and "tokens" not in notes:
        return _as_it_comes(notes["patch"], notes["merge"], notes.get("frames", 1), width, height)
    patches = notes.get("patches") or notes.get("tokens", 0) * notes.get("merge", 1)
    if not patches:
        return None
    sides = notes.get("size") or (isqrt(patches) * notes.get("patch", 14),) * 2
    larger = width > sides[0] or height > sides[1]
    tokens = notes.get("tokens", patches) // (notes.get("merge", 1) if "size" in notes else 1)
    tiled = larger and architecture.model_type in TILED
    if any(cache.cross for cache in _remembered(architecture)):
        tokens = 1  # its rows are attended to across, beside the sequence
    return Picture(tokens, patches, CHANNELS * sides[0] * sides[1], tiled)


def _as_it_comes(patch: int, merge: int, frames: int, width: int, height: int) -> Picture:
    side = patch * isqrt(merge)
    scale = min(1.0, sqrt(MOST_TOKENS * side * side / (width * height)))
    columns, rows = (max(1, round(scale * pixels / side)) for pixels in (width, height))
    patches = columns * rows * merge
    return Picture(columns * rows, patches, patches * CHANNELS * frames * patch * patch)


def _remembered(architecture: Architecture) -> list[KeyValueCache]:
    return [op.cache for _, op in architecture.operations() if isinstance(op, Attention) and op.cache]


class Tower(Struct, frozen=True):
    """An encoder of pictures: elements of a patch in the stream, in a block's widest step; heads."""

    hidden: int
    step: int
    heads: int


@lru_cache(maxsize=1024)
def tower(architecture: Architecture) -> Tower:
    """The widths of the encoder, which every rank holds whole; zeros where there is none."""
    hidden = step = heads = 0
    for section in architecture.of("vision"):
        if not any(isinstance(op, Attention) for op in section.block.operations):
            continue
        step = max(step, feed_forward_width(section, Layout()))
        for op in section.block.operations:
            if isinstance(op, Norm):
                hidden = max(hidden, op.width)
            elif isinstance(op, Attention):
                heads = max(heads, op.heads)
                step = max(step, (op.heads + op.kv_heads) * (op.key_dim + op.value_dim))
    return Tower(hidden, step, heads)
