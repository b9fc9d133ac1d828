"""vLLM's cache: specs of layers, pages, groups of layers that share a block table, requests in blocks.

Sources: vLLM `v1/kv_cache_interface.py` (page sizes, `max_memory_usage_bytes`), `v1/core/kv_cache_utils.py`
(`get_kv_cache_groups`, `unify_kv_cache_spec_page_size`, `get_max_concurrency_for_kv_cache_config`).
"""

from collections.abc import Sequence
from functools import lru_cache
from math import ceil
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from ...lanes import least
from ..kv_cache import LayerCache
from .search import MOST

Kind = Literal["full", "latent", "window", "chunk", "state", "cross"]


ALIGN: Final = 16  # tokens that FlashAttention's blocks are a multiple of
LATENT_ALIGN: Final = 64  # the same for latent attention
SPARSE_LATENT_BYTES: Final = 656  # fp8_ds_mla: 512 in 8 bits, 16 of scales, 128 of rotary keys in 16 bits


class Spec(Struct, frozen=True):
    """Layers with equal pages: `page` bytes for `block` tokens; `reach` tokens back, `copies` fixed pages."""

    kind: Kind
    layers: int
    block: int
    page: int
    reach: int = 0
    copies: int = 0

    def pages(self, length: int, in_flight: int, source: int = 0) -> int:
        """Pages that one request of `length` tokens may need (serving facts, `max_memory_usage_bytes`)."""
        match self.kind:
            case "window":
                return -(-least(self.reach - 1 + in_flight, length) // self.block) + 1
            case "chunk":
                return -(-least(self.reach + in_flight, length) // self.block)
            case "state":
                return self.copies
            case "cross":
                return -(-source // self.block)
            case _:
                return -(-length // self.block)


class Groups(Struct, frozen=True):
    """Layers in groups that share a pool: `block_bytes` is one block over all the layers of a group.

    `specs` holds each spec with the number of groups it makes.
    """

    block_bytes: int
    specs: tuple[tuple[Spec, int], ...]

    @property
    def count(self) -> int:
        """Groups in all."""
        return sum(groups for _, groups in self.specs)

    @property
    def smallest_block(self) -> int:
        """Fewest tokens of a block."""
        return min((spec.block for spec, _ in self.specs), default=1)

    def blocks(self, length: int, in_flight: int, source: int = 0) -> int:
        """Blocks that one request of `length` tokens may need."""
        return sum(groups * spec.pages(length, in_flight, source) for spec, groups in self.specs)

    def tokens(self, blocks: int, in_flight: int) -> int:
        """Tokens of a request that so many blocks hold; where windows are not full yet, about that."""
        growing = [(spec, groups) for spec, groups in self.specs if spec.kind in ("full", "latent")]
        if not growing:
            return MOST
        a_token = sum(groups / spec.block for spec, groups in growing)
        fixed = sum(g * s.pages(MOST, in_flight) for s, g in self.specs if (s, g) not in growing)
        block = min(spec.block for spec, _ in growing)
        return int((blocks - fixed) / a_token) // block * block


def specs(
    caches: Sequence[LayerCache],
    block: int,
    element: float,
    *,
    hybrid: bool,
    state_copies: int,
    scales: int = 0,
) -> tuple[Spec, ...]:
    """The specs of a model's layers before pages are made equal.

    `hybrid` False: windows and chunks are kept as full attention. `scales`: bytes beside each head vector.
    """
    found: dict[Spec, int] = {}
    for cache in caches:
        for spec in _of_layer(cache, block, element, hybrid, state_copies, scales):
            found[spec] = found.get(spec, 0) + cache.layers
    return tuple(replace(spec, layers=layers) for spec, layers in found.items())


def _of_layer(
    c: LayerCache, block: int, element: float, hybrid: bool, state_copies: int, scales: int
) -> list[Spec]:
    if c.state:
        return [Spec("state", 0, block, c.state, copies=state_copies)]
    packed = SPARSE_LATENT_BYTES if c.latent and c.indexer and element == 1 else c.width * element
    page = ceil(block * (packed + 2 * scales * c.heads))
    found = []
    if c.latent:
        found.append(Spec("latent", 0, block, page))
    elif c.cross:
        found.append(Spec("cross", 0, block, page))
    elif c.window and hybrid:
        found.append(Spec("window", 0, block, page, reach=c.window))
    elif c.chunk and hybrid:
        found.append(Spec("chunk", 0, block, page, reach=c.chunk))
    else:
        found.append(Spec("full", 0, block, page))
    if c.indexer:
        found.append(Spec("latent", 0, block, block * c.indexer))
    return found


def aligned_to_states(found: Sequence[Spec], token_bytes: float, align: int) -> tuple[Spec, ...]:
    """Enlarge the attention block until its page holds the state, then pad the state's page to it.

    vLLM `platforms/interface.py` `_align_hybrid_block_size` (`models/config.py` up to 0.19): the block is
    the least multiple of `align` tokens whose page is no smaller than the state's.
    """
    state = max((spec.page for spec in found if spec.kind == "state"), default=0)
    attention = [spec for spec in found if spec.kind != "state"]
    if not state or not attention:
        return tuple(found)
    block = max(align * ceil(state / (align * token_bytes)), *(spec.block for spec in attention))
    page = ceil(block * token_bytes)
    return tuple(
        replace(spec, page=page, block=block)
        if spec.kind == "state"
        else replace(spec, page=spec.page // spec.block * block, block=block)
        for spec in found
    )


def group(found: Sequence[Spec], ratio: float) -> Groups:
    """Groups of layers. Equal specs, or specs of one type with one block size, make one group."""
    if not found:
        return Groups(0, ())
    kinds = {(spec.kind in ("full", "latent"), spec.kind, spec.reach) for spec in found}
    one_type = len(kinds) == 1 or all(spec.kind in ("full", "latent") for spec in found)
    if one_type and len({spec.block for spec in found}) == 1:
        return Groups(sum(spec.page * spec.layers for spec in found), ((found[0], 1),))
    even = unified(found)
    fewest, most = min(spec.layers for spec in even), max(spec.layers for spec in even)
    size = most if most < ratio * fewest else fewest
    return Groups(even[0].page * size, tuple((spec, ceil(spec.layers / size)) for spec in even))


def unified(found: Sequence[Spec]) -> tuple[Spec, ...]:
    """Pages made equal: a smaller page gets a larger block where that divides, else padding."""
    largest = max(spec.page for spec in found)
    merged: dict[Spec, int] = {}
    for spec in found:
        times = largest // spec.page if largest % spec.page == 0 and spec.kind != "state" else 1
        even = replace(spec, layers=0, page=largest, block=spec.block * times)
        merged[even] = merged.get(even, 0) + spec.layers
    return tuple(replace(spec, layers=layers) for spec, layers in merged.items())


@lru_cache(maxsize=1024)
def grouped(
    caches: tuple[LayerCache, ...], block: int, element: float, state_copies: int, ratio: float, hybrid: bool
) -> Groups:
    """Groups of these layers, pages aligned to recurrent states where there are any."""
    found = specs(caches, block, element, hybrid=hybrid, state_copies=state_copies)
    token_bytes = max((spec.page / spec.block for spec in found if spec.kind != "state"), default=0.0)
    if token_bytes and any(spec.kind == "state" for spec in found):
        found = aligned_to_states(
            found, token_bytes, LATENT_ALIGN if any(c.latent for c in caches) else ALIGN
        )
    return group(found, ratio)
