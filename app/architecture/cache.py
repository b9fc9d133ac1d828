"""Reading: what a model remembers of the tokens it has seen.

Two forms of the same description: `transformers` is what that library's cache object holds, to the
byte; `compact` is what serving runtimes need at least. They differ in windows: see `tokens_kept`.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct

from .operations import Attention, Convolution, KeyValueCache, Scan, State
from .sections import Section

Form = Literal["transformers", "compact"]
ELEMENT_BYTES = {
    "float64": 8,
    "float32": 4,
    "bfloat16": 2,
    "float16": 2,
    "int64": 8,
    "int32": 4,
    "int8": 1,
    "uint8": 1,
}


class CacheLayer(Struct, frozen=True):
    """Layers of equal memory: how many, what each keeps of a token, and what it keeps of a sequence."""

    count: int
    keys_values: KeyValueCache | None
    states: tuple[State, ...] = ()


def layers(sections: Iterable[Section]) -> Iterator[CacheLayer]:
    """Every layer that remembers something, by distinct section."""
    for section in sections:
        for operation in section.block.operations:
            if isinstance(operation, Attention) and operation.cache:
                yield CacheLayer(section.count, operation.cache)
            elif isinstance(operation, Scan) and operation.states:
                yield CacheLayer(section.count, None, operation.states)
            elif isinstance(operation, Convolution) and operation.state:
                yield CacheLayer(section.count, None, (operation.state,))


def tokens_seen(cache: KeyValueCache, length: int, source: int) -> int:
    """Tokens that a layer makes keys of: the sequence's, the encoder's, or both."""
    if cache.cross:
        return source
    return length + source if cache.behind else length


def tokens_kept(cache: KeyValueCache, length: int, form: Form) -> int:
    """How many of `length` tokens a layer keeps.

    transformers keeps window - 1 (the next token completes the window; `DynamicSlidingWindowLayer` in
    `cache_utils.py`); a runtime needs the whole window.
    """
    reach = cache.chunk or cache.window
    if reach is None:
        return length + cache.prompt
    return min(length, max(reach - 1, 0) or length) if form == "transformers" else min(length, reach)


def token_width(cache: KeyValueCache, form: Form = "compact") -> int:
    """Elements kept of one token: transformers keeps the latent too (5.23, `DeepseekV3Attention`), and
    repeated heads where it repeats them first (`FalconAttention`)."""
    if form == "transformers" and cache.kept_heads:
        return cache.kept_heads * (cache.key_dim + cache.value_dim)
    return cache.latent or cache.width


def token_bytes(cache: KeyValueCache, dtype: str, form: Form = "compact") -> int:
    """Bytes kept of one token, keys of an indexer among them."""
    index = cache.indexer_dim * ELEMENT_BYTES[cache.indexer_dtype or dtype]
    index += cache.positions * ELEMENT_BYTES["int64"]
    return token_width(cache, form) * ELEMENT_BYTES[dtype] + index


def compressed_bytes(cache: KeyValueCache, length: int, dtype: str) -> int:
    """Bytes of entries that stand for many tokens, and of tokens that wait to become one."""
    return ELEMENT_BYTES[dtype] * sum(part.size(length) for part in cache.compressed)


def state_bytes(sections: Iterable[Section], dtype: str, *, once: bool = False) -> int:
    """Bytes of recurrent state per sequence (or `once` for the batch); states without a data type of their
    own have the model's."""
    return sum(
        layer.count * state.size * ELEMENT_BYTES[state.dtype or dtype]
        for layer in layers(sections)
        for state in layer.states
        if state.once == once
    )


def cache_bytes(
    sections: Iterable[Section], batch: int, length: int, dtype: str, form: Form, source: int = 0
) -> int:
    """Bytes of keys, values and states of `batch` sequences of `length` tokens."""
    found = tuple(sections)
    kept = sum(
        layer.count
        * tokens_kept(layer.keys_values, tokens_seen(layer.keys_values, length, source), form)
        * token_bytes(layer.keys_values, dtype, form)
        + layer.count * compressed_bytes(layer.keys_values, length, dtype)
        for layer in layers(found)
        if layer.keys_values
    )
    return batch * (kept + state_bytes(found, dtype)) + state_bytes(found, dtype, once=True)


def bytes_per_token(sections: Iterable[Section], dtype: str) -> int:
    """Bytes that one more token adds while no window is full; its share of a compressed entry down."""
    return sum(
        layer.count * token_bytes(layer.keys_values, dtype)
        + sum(
            layer.count * ELEMENT_BYTES[dtype] * part.width // part.rate
            for part in layer.keys_values.compressed
        )
        for layer in layers(sections)
        if layer.keys_values and not layer.keys_values.cross
    )
