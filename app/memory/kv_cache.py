"""Keys, values and recurrent states: what one rank keeps of the tokens that sequences have seen."""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil

from ..architecture import Architecture
from ..architecture.cache import layers as cache_layers
from ..architecture.operations import KeyValueCache, State
from ..parallelism import Layout, Stage, kv_heads_per_rank
from .weights import element_bytes


@dataclass(frozen=True, slots=True)
class LayerCache:
    """Layers of one rank that remember alike: elements of a token on this rank, and how far back they reach.

    `width` 0: a recurrent layer, whose `state` [bytes of a sequence] does not grow.
    `expanded`: elements of a token where latent attention keeps full keys and values instead.
    """

    layers: int
    width: int
    expanded: int
    key_dim: int = 0
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
        return length if reach is None else min(length, reach)


@lru_cache(maxsize=1024)
def rank_cache(architecture: Architecture, layout: Layout, stage: Stage, dtype: str) -> tuple[LayerCache, ...]:
    """What the layers of one rank remember; `dtype` is that of states without a type of their own."""
    found: dict[LayerCache, int] = {}
    for section, places in stage.sections:
        state = 0
        for layer in cache_layers((section,)):
            if layer.keys_values:
                one = keys_values(layer.keys_values, layout.tensor)
                found[one] = found.get(one, 0) + places
            state += sum(state_bytes(s, layout.tensor, dtype) for s in layer.states)
        if state:
            one = LayerCache(1, 0, 0, state=state)
            found[one] = found.get(one, 0) + places
    return tuple(_times(one, count) for one, count in found.items())


def _times(one: LayerCache, count: int) -> LayerCache:
    return LayerCache(count, one.width, one.expanded, one.key_dim, one.heads, one.window, one.chunk, one.latent,
                      one.cross, one.indexer, one.state)  # fmt: skip


def keys_values(cache: KeyValueCache, tensor: int) -> LayerCache:
    """One attention layer's memory on one of `tensor` ranks; a latent is kept whole by every rank."""
    heads = kv_heads_per_rank(cache.kv_heads, tensor)
    expanded = heads * (cache.key_dim + cache.value_dim)
    width = cache.latent or expanded
    return LayerCache(1, width, expanded, cache.key_dim, 1 if cache.latent else heads, cache.window, cache.chunk,
                      bool(cache.latent), cache.cross, cache.indexer_dim)  # fmt: skip


def state_bytes(state: State, tensor: int, dtype: str) -> int:
    """Bytes of one recurrent state of one sequence on one of `tensor` ranks."""
    units = max(1, state.units)
    share = ceil(units / tensor) / units if tensor > 1 else 1
    return ceil(state.size * share * element_bytes(state.dtype or dtype))


def sequence_bytes(caches: tuple[LayerCache, ...], length: int, element: float, source: int = 0) -> int:
    """Bytes of one sequence of `length` tokens without pages [one rank]."""
    elements = sum(c.layers * c.tokens(length, source) * (c.width + c.indexer) for c in caches)
    return ceil(elements * element) + sum(c.layers * c.state for c in caches)


def cache_dtype(asked: str, compute: str) -> str:
    """The data type of keys and values: `auto` is the compute type."""
    return compute if asked == "auto" else asked
