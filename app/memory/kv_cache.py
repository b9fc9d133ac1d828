"""Keys, values and recurrent states: what one rank keeps of the tokens that sequences have seen."""

from collections.abc import Mapping
from functools import lru_cache
from math import ceil
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ..architecture.cache import ELEMENT_BYTES
from ..architecture.cache import layers as cache_layers
from ..architecture.operations import KeyValueCache, State
from ..lanes import least, up
from ..parallelism import Layout, Stage, kv_heads_per_rank
from .weights import element_bytes


class LayerCache(Struct, frozen=True):
    """Layers of one rank that remember alike: elements of a token on this rank, and how far back they reach.

    `width` 0: a recurrent layer, whose `state` [bytes of a sequence] does not grow.
    `expanded`: elements of a token with full keys and values; `kept` what transformers' cache has of it.
    `indexer` [bytes of a token]: keys of a sparse-attention indexer in 8 bits with a scale for each 128.
    """

    layers: int
    width: int
    expanded: int
    kept: int = 0
    kept_indexer: int = 0
    heads: int = 0
    window: int | None = None
    chunk: int | None = None
    latent: bool = False
    cross: bool = False
    indexer: int = 0
    state: int = 0

    def tokens(self, length: int, source: int = 0) -> int:
        """How many of `length` tokens a layer needs to keep."""
        if self.cross:
            return source
        reach = self.window or self.chunk
        return length if reach is None else least(length, reach)


class StateRule(Struct, frozen=True):
    """How a runtime keeps recurrent states.

    `recurrent`: data type of those that name none [the model's]. `kernel_rows` less: a causal convolution
    remembers kernel - 1 inputs, transformers keeps kernel. `drafted` tokens need as many rows more.
    """

    dtype: str
    recurrent: str
    short_convolution: bool = True
    drafted: int = 0


@lru_cache(maxsize=2048)
def rank_cache(layout: Layout, stage: Stage, rule: StateRule) -> tuple[LayerCache, ...]:
    """What the layers of one rank remember."""
    found: dict[LayerCache, int] = {}
    for section, places in stage.sections:
        state = 0
        for layer in cache_layers((section,)):
            if layer.keys_values:
                one = keys_values(layer.keys_values, layout.tensor)
                found[one] = found.get(one, 0) + places
            state += sum(state_bytes(s, layout.tensor, rule) for s in layer.states)
        if state:
            one = LayerCache(1, 0, 0, state=state)
            found[one] = found.get(one, 0) + places
    return tuple(replace(one, layers=count) for one, count in found.items())


def keys_values(cache: KeyValueCache, tensor: int) -> LayerCache:
    """One attention layer's memory on one of `tensor` ranks; a latent is kept whole by every rank."""
    heads = kv_heads_per_rank(cache.kv_heads, tensor)
    expanded = heads * (cache.key_dim + cache.value_dim)
    width = cache.latent or expanded
    repeated = kv_heads_per_rank(cache.kept_heads, tensor) * (cache.key_dim + cache.value_dim)
    return LayerCache(
        1,
        width,
        expanded,
        repeated if cache.kept_heads else width,
        cache.indexer_dim * ELEMENT_BYTES[cache.indexer_dtype or "bfloat16"],
        1 if cache.latent else heads,
        cache.window,
        cache.chunk,
        bool(cache.latent),
        cache.cross,
        cache.indexer_dim + 4 * ceil(cache.indexer_dim / 128),
    )


def state_bytes(state: State, tensor: int, rule: StateRule) -> int:
    """Bytes of one recurrent state of one sequence on one of `tensor` ranks."""
    units = max(1, state.units)
    share = ceil(units / tensor) / units
    if state.name != "conv":
        return ceil(state.size * share * element_bytes(state.dtype or rule.recurrent))
    width, kernel = state.shape
    rows = kernel - rule.short_convolution + rule.drafted
    return ceil(width * rows * share * element_bytes(state.dtype or rule.dtype))


def sequence_bytes(
    caches: tuple[LayerCache, ...], length: int, element: float, *, source: int = 0, page: int = 1
) -> int:
    """Bytes of one sequence of `length` tokens on one rank, each layer in whole pages of `page` tokens."""
    size = 0.0
    for cache in caches:
        slots = -(-cache.tokens(length, source) // page) * page
        size += cache.layers * (slots * (cache.width * element + cache.indexer) + cache.state)
    return up(size)


# Bytes of an element where blocks carry scales: GGUF types by their block, nvfp4 a scale for each 16.
BLOCK_BYTES: Final[Mapping[str, float]] = {
    "q8_0": 34 / 32,
    "q5_1": 24 / 32,
    "q5_0": 22 / 32,
    "q4_1": 20 / 32,
    "q4_0": 18 / 32,
    "iq4_nl": 18 / 32,
    "nvfp4": 9 / 16,
    "mxfp8": 33 / 32,
}


def cache_element(dtype: str) -> float:
    """Bytes of one element of a cache, its block's scales included.

    >>> cache_element("fp8"), cache_element("q8_0"), cache_element("nvfp4")
    (1.0, 1.0625, 0.5625)
    """
    return BLOCK_BYTES[dtype] if dtype in BLOCK_BYTES else element_bytes(dtype)
