"""What a forward step costs, operation by operation: read off the forward description, on one rank.

Nothing here knows a device. An operation's cost is linear in what a step holds (tokens, sequences, cached
tokens, pairs of query and key), so it is written as a few coefficients, summed over the places where it
stands, and read once for a model, layout and cache type.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from math import ceil, prod
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ..architecture.extents import Extents
from ..architecture.flops import operation_flops
from ..architecture.operations import (
    Attention,
    Axis,
    Concat,
    Convolution,
    Elementwise,
    Embedding,
    Experts,
    Index,
    Linear,
    Norm,
    Operation,
    Parameter,
    Product,
    Role,
    Rotary,
    Scan,
)
from ..architecture.sections import Section
from ..memory.kv_cache import StateRule, keys_values, state_bytes
from ..memory.weights import StoredModel
from ..parallelism import Layout, Stage, local_shape

COMPONENTS: Final = ("embedding", "decoder", "encoder", "norm", "head", "pooler", "shared")
BLOCKS: Final = ("decoder", "encoder")  # what stands one after the other, layer by layer
ONE_TOKEN: Final = Extents(1, 1, 1)
MOVING: Final = (Norm, Elementwise, Rotary, Concat)  # they move activations and compute next to nothing
ACTIVATION_BYTES: Final = 2


class Work(Struct, frozen=True):
    """One operation on one rank, over all `count` places; sizes in bytes, work in FLOPs.

    `kind`: matrix, experts, attention, index, scan, elementwise, all_reduce or all_to_all. `weight_bytes` are
    read once in a step, `row_*` is for each token (for each sequence where `logits`), `cache_bytes` for each
    cached token that a decoding sequence looks at; `repeated_bytes` the same if every query head read its
    own. `pair_flops`: for each query and key; `latent_flops` the same where a latent cache is attended as it
    is. `reach`: tokens a query sees at most. `state_bytes`: read and written for each sequence. `messages`:
    collectives in a step. `spread`: ranks whose tokens meet at these experts, over those of one replica.
    """

    name: str
    kind: str
    count: int = 1
    weight_bytes: float = 0.0
    bits: float = 16.0
    row_flops: float = 0.0
    row_bytes: float = 0.0
    logits: bool = False
    experts: int = 0
    top_k: int = 0
    spread: int = 1
    cache_bytes: float = 0.0
    repeated_bytes: float = 0.0
    pair_flops: float = 0.0
    latent_flops: float = 0.0
    reach: int = 0
    state_bytes: float = 0.0
    messages: int = 0


class Reader(Struct, frozen=True):
    """What decides how operations are read: the stored model, its layout, bytes of a cached element."""

    stored: StoredModel
    layout: Layout
    cache_element: float
    scale: float  # bytes asked for over bytes of the description (`model_size`)

    def of(self, section: Section, places: int) -> Iterator[Work]:
        """The operations of one section."""
        looked = _chosen_tokens(section)
        for op in section.block.operations:
            yield from self._read(section, op, places, looked)
        if moved := sum(self._moved(op) for op in section.block.operations):
            yield Work(f"{section.component}.elementwise", "elementwise", places, row_bytes=places * moved)
        reduced = {op.name.partition(".")[0] for op in section.block.operations if self._is_reduced(op)}
        if reduced and section.component in BLOCKS:
            yield self._all_reduce(section, places * len(reduced))
        yield from self._all_to_all(section, places)

    def _read(self, section: Section, op: Operation, places: int, looked: int) -> Iterator[Work]:
        name = f"{section.component}.{op.name}".rstrip(".")
        match op:
            case Linear() | Embedding() | Convolution() | Product():
                yield self._matrix(section, op, places, name)
            case Experts():
                yield self._experts(section, op, places, name)
            case Attention():
                yield self._attention(op, places, name, looked)
            case Index():
                yield self._index(op, places, name)
            case Scan():
                yield self._scan(op, places, name)

    def _moved(self, op: Operation) -> float:
        """Bytes in and out for one token; what is not the residual stream is cut over tensor ranks."""
        if isinstance(op, Experts):
            return self._routed(op)
        if not isinstance(op, MOVING):
            return 0.0
        hidden = self.stored.architecture.hidden_size
        return sum(
            ACTIVATION_BYTES * t.width / (1 if t.width == hidden else self.layout.tensor)
            for t in (*op.inputs, *op.outputs)
            if t.axis is Axis.TOKENS
        )

    def _local(self, section: Section, op: Operation) -> tuple[float, int, int]:
        """Bytes on this rank, elements on this rank and elements in all, of an operation's parameters."""
        size = elements = whole = 0
        for parameter in op.parameters:
            shape = self._shape(parameter)
            elements += prod(shape)
            whole += parameter.size
            size += sum(tensor.bytes for tensor in self.stored.scheme.stored(section, op, parameter, shape))
        return size * self.scale, elements, whole

    def _shape(self, parameter: Parameter) -> tuple[int, ...]:
        return local_shape(parameter, self.layout, self.stored.architecture.vocab_size)

    def _matrix(self, section: Section, op: Operation, places: int, name: str) -> Work:
        size, elements, whole = self._local(section, op)
        share = elements / whole if whole else 1 / self.layout.tensor
        flops = self.scale * places * share * operation_flops(op, ONE_TOKEN)
        moved = places * ACTIVATION_BYTES * sum(t.width for t in (*op.inputs, *op.outputs)) * share
        head = isinstance(op, Linear) and (op.head or any(p.role is Role.HEAD for p in op.parameters))
        if isinstance(op, Embedding):
            return Work(name, "elementwise", places, row_bytes=moved)
        bits = 8 * size / elements if elements else 16.0
        return Work(name, "matrix", places, places * size, bits, flops, moved, logits=head)

    def _experts(self, section: Section, op: Experts, places: int, name: str) -> Work:
        size, elements, whole = self._local(section, op)
        ranks = self.layout.expert_ranks
        spread = self.layout.data if ranks > self.layout.tensor else 1
        # Plain PyTorch may run every expert on every token; no serving runtime does.
        run = op.top_k / op.count if op.every else 1.0
        flops = self.scale * places * run * operation_flops(op, ONE_TOKEN) * elements / whole
        bits = 8 * size / elements
        moved = places * self._routed(op)
        return Work(
            name, "experts", places, places * size, bits, flops, moved, False, op.count, op.top_k, spread
        )

    def _routed(self, op: Experts) -> float:
        """Bytes of one token on its way through its experts on this rank: in, between, out and summed."""
        spread = self.layout.data if self.layout.expert_ranks > self.layout.tensor else 1
        here = op.top_k * spread / self.layout.expert
        return ACTIVATION_BYTES * here * (2 * op.fan_in + 3 * op.width / self.layout.expert_tensor)

    def _attention(self, op: Attention, places: int, name: str, looked: int) -> Work:
        heads = ceil(op.heads / self.layout.tensor)
        pair = places * operation_flops(op, ONE_TOKEN) * heads / op.heads
        if op.cross or op.cache is None:
            return Work(name, "attention", places, pair_flops=pair, latent_flops=pair)
        layer = keys_values(op.cache, self.layout.tensor)
        compressed = sum(part.width / part.rate for part in op.cache.compressed)
        one = places * (layer.width + compressed) * self.cache_element / self.layout.context
        every = places * heads * (op.key_dim + op.value_dim) * self.cache_element
        latent = places * 2 * heads * (op.cache.latent + op.cache.latent_parts[0]) if layer.latent else pair
        reach = min((size for size in (op.window, op.chunk, looked) if size), default=0)
        return Work(
            name,
            "attention",
            places,
            cache_bytes=one,
            repeated_bytes=one if layer.latent else max(one, every),
            pair_flops=pair,
            latent_flops=latent,
            reach=reach,
        )

    def _index(self, op: Index, places: int, name: str) -> Work:
        """Keys of the indexer in 8 bits with a scale for each, over the whole context."""
        pair = places * operation_flops(op, Extents(1, 1, op.ratio)) / op.ratio
        keys = places * (op.key_dim + 4) / op.ratio
        return Work(name, "index", places, cache_bytes=keys, pair_flops=pair, latent_flops=pair)

    def _scan(self, op: Scan, places: int, name: str) -> Work:
        flops = places * operation_flops(op, ONE_TOKEN) / self.layout.tensor
        rule = StateRule(self.stored.compute, self.stored.compute)
        state = sum(state_bytes(s, self.layout.tensor, rule) for s in op.states)
        return Work(name, "scan", places, row_flops=flops, state_bytes=2.0 * places * state)

    def _is_reduced(self, op: Operation) -> bool:
        """Whether its output is a partial sum on each tensor rank."""
        if self.layout.tensor == 1:
            return False
        if isinstance(op, Experts):
            return True
        if not isinstance(op, Linear) or not op.parameters:
            return False
        parameter = op.parameters[0]
        inner = 0 if parameter.transposed else 1
        return parameter.split is not None and parameter.split.dim == inner

    def _all_reduce(self, section: Section, messages: int) -> Work:
        """Sums over tensor ranks: one behind attention, one behind the feed-forward block."""
        size = ACTIVATION_BYTES * self.stored.architecture.hidden_size
        name = f"{section.component}.all_reduce"
        return Work(name, "all_reduce", messages, row_bytes=float(messages * size), messages=messages)

    def _all_to_all(self, section: Section, places: int) -> Iterator[Work]:
        """Tokens sent to their experts and back, where experts are dealt over data-parallel ranks."""
        routed = [op for op in section.block.operations if isinstance(op, Experts)]
        if routed and self.layout.expert_ranks > self.layout.tensor:
            sent = sum(op.top_k * op.fan_in for op in routed) * 2 * ACTIVATION_BYTES
            name = f"{section.component}.all_to_all"
            messages = 2 * places * len(routed)
            yield Work(name, "all_to_all", messages, row_bytes=float(places * sent), messages=messages)


def _chosen_tokens(section: Section) -> int:
    """Tokens that a sparse-attention indexer leaves; 0 without one."""
    found = [op.top_k * op.block for op in section.block.operations if isinstance(op, Index)]
    return min(found, default=0)


@lru_cache(maxsize=2048)
def read_works(stored: StoredModel, layout: Layout, stage: Stage, cache_element: float) -> tuple[Work, ...]:
    """Every distinct operation of one stage, those of equal name and cost per place put together."""
    scale = 1.0
    if stored.size_billions is not None:
        scale = stored.size_billions * 1e9 / stored.architecture.parameters.total
    reader = Reader(stored, layout, cache_element, scale)
    works = [
        work
        for section, places in stage.sections
        if section.component in COMPONENTS
        for work in reader.of(section, places)
    ]
    return merged(works, by_name=True)


@lru_cache(maxsize=2048)
def totals(stored: StoredModel, layout: Layout, stage: Stage, cache_element: float) -> tuple[Work, ...]:
    """The same put together wherever costs add up: what a step is reckoned with."""
    return merged(read_works(stored, layout, stage, cache_element), by_name=False)


def merged(works: Iterable[Work], *, by_name: bool) -> tuple[Work, ...]:
    """Operations that a step bounds alike, summed."""
    found: dict[tuple[object, ...], Work] = {}
    for work in works:
        bits = round(work.bits) if work.kind in ("matrix", "experts") else 0
        key = (work.kind, bits, work.experts, work.top_k, work.reach, work.logits, by_name and work.name)
        before = found.get(key)
        found[key] = work if before is None else _sum(before, work)
    return tuple(found.values())


_SUMMED: Final = (
    "count",
    "weight_bytes",
    "row_flops",
    "row_bytes",
    "cache_bytes",
    "repeated_bytes",
    "pair_flops",
    "latent_flops",
    "state_bytes",
    "messages",
)


def _sum(a: Work, b: Work) -> Work:
    return replace(a, **{name: getattr(a, name) + getattr(b, name) for name in _SUMMED})
