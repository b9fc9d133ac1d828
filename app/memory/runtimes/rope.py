"""Tables of rotary positions that serving runtimes keep on the GPU: one per distinct rotation.

Source: vLLM `model_executor/layers/rotary_embedding` (`get_rope` and the classes it makes); SGLang took the
same classes over.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from ...architecture import Architecture
from ...architecture.operations import Attention, Rotary
from ..weights import allocated, element_bytes

FLOAT32: Final = 4
# Images and video reach positions beyond the text's (`MRotaryEmbedding.cache_max_position_num`).
MULTIMODAL_FACTOR: Final = 4
DEFAULT_POSITIONS: Final = 8192


@lru_cache(maxsize=512)
def rope_tables(architecture: Architecture, dtype: str) -> tuple[int, ...]:
    """Bytes of each table."""
    config = _text(architecture.config)
    positions = architecture.context_length or DEFAULT_POSITIONS
    element = int(element_bytes(dtype))
    distinct = {(width, str(sorted(rope.items()))): rope for width, rope in _rotations(architecture, config)}
    return tuple(
        _rows(rope, positions) * width * _element(architecture, rope, width, element)
        for (width, _), rope in distinct.items()
    )


@lru_cache(maxsize=512)
def table_bytes(architecture: Architecture, dtype: str) -> int:
    """All tables as the allocator gives them [bytes]."""
    return sum(map(allocated, rope_tables(architecture, dtype)))


def _text(config: Mapping[str, Any]) -> Mapping[str, Any]:
    text = config.get("text_config")
    return text if isinstance(text, Mapping) else config


def _rotations(architecture: Architecture, config: Mapping[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every layer kind's turned width and scaling, as far as tables differ by them."""
    for section in architecture.sections:
        if section.component != "decoder":
            continue
        local = any(isinstance(op, Attention) and op.window for op in section.block.operations)
        for op in section.block.operations:
            if isinstance(op, Rotary) and op.rotary_dim:
                yield op.rotary_dim, _scaling(architecture, config, local)


def _scaling(architecture: Architecture, config: Mapping[str, Any], local: bool) -> dict[str, Any]:
    """The scaling of one kind of layer: plain values only."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if not isinstance(rope, Mapping):
        rope = {}
    kinds = rope.get("sliding_attention" if local else "full_attention")
    if isinstance(kinds, Mapping):
        rope = kinds
    elif local and architecture.model_type.startswith("gemma3"):
        rope = {"local": True}  # its own base, no scaling (rope_local_base_freq)
    kept = {key: value for key, value in rope.items() if isinstance(value, int | float | str)}
    if "mrope_section" in rope:
        kept["multimodal"] = True
    return kept


def _rows(rope: Mapping[str, Any], positions: int) -> int:
    """Positions that the table has."""
    kind = str(rope.get("rope_type", rope.get("type", "default")))
    factor = rope.get("factor", 1)
    original = int(rope.get("original_max_position_embeddings", positions))
    if rope.get("multimodal"):
        return MULTIMODAL_FACTOR * positions
    if kind in ("linear", "dynamic", "ntk") and isinstance(factor, int | float):
        return int(positions * factor)
    if "yarn" in kind and isinstance(factor, int | float):
        return int(original * factor)
    return original + positions if kind in ("longrope", "su") else positions


def _element(architecture: Architecture, rope: Mapping[str, Any], width: int, element: int) -> int:
    """Bytes of an entry: float32 in gpt-oss (`OAIAttention`) and where FlashInfer turns latent heads."""
    if architecture.model_type == "gpt_oss":
        return FLOAT32
    kind = str(rope.get("rope_type", rope.get("type", "default")))
    latent = architecture.model_type.startswith(("deepseek", "kimi"))
    return FLOAT32 if "yarn" in kind and latent and width in (64, 128, 256, 512) else element
