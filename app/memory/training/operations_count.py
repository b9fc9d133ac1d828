"""Floating-point operations of a forward pass as a polynomial, read once per architecture."""

from functools import lru_cache

from msgspec import Struct

from ...architecture import Architecture
from ...architecture.extents import Extents
from ...architecture.flops import attention_flops, causal_pairs
from ...architecture.operations import Attention


class Flops(Struct, frozen=True):
    """`per_token` and `per_pair` (of query and key) FLOPs; `bounded`: FLOPs per pair by window (0: none).

    `exact` False: the counts are no such polynomial, and are summed anew for every length.
    """

    per_token: int
    per_pair: int
    bounded: tuple[tuple[int, int], ...]
    exact: bool


@lru_cache(maxsize=1024)
def flops_of(architecture: Architecture) -> Flops:
    """The polynomial, checked at a third point."""
    one, two = architecture.forward_flops(1, 1), architecture.forward_flops(1, 2)
    per_pair = (two - 2 * one) // 2
    per_token = one - per_pair
    bounded: dict[int, int] = {}
    plain = True  # lengths that are padded or cut into blocks lead to steps
    for section, op in architecture.operations():
        plain = plain and not (isinstance(op, Attention) and op.pattern)
        if isinstance(op, Attention) and op.causal and not op.cross:
            reach = op.window or op.chunk or 0
            each = section.count * attention_flops(op, Extents(1, 1), False)
            bounded[reach] = bounded.get(reach, 0) + each
    exact = plain and per_token * 12 + per_pair * 48 == architecture.forward_flops(3, 4)
    return Flops(per_token, per_pair, tuple(bounded.items()), exact)


def forward_flops(architecture: Architecture, batch: int, length: int) -> tuple[int, int]:
    """FLOPs with attention over the full square, and with what causal masks leave."""
    flops = flops_of(architecture)
    if not flops.exact:
        summed = architecture.forward_flops
        return summed(batch, length), summed(batch, length, causal=True)
    tokens = batch * length
    whole = flops.per_token * tokens + flops.per_pair * tokens * length
    square = length * length
    spared = sum(
        each * (square - causal_pairs(length, length, reach or None)) for reach, each in flops.bounded
    )
    return whole, whole - batch * spared
