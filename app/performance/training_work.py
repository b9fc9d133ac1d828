"""The work of training on one token, read off the forward description."""

from functools import lru_cache
from typing import Final

from msgspec import Struct

from ..architecture import Architecture
from ..architecture.extents import Extents
from ..architecture.flops import operation_flops
from ..architecture.operations import (
    Attention,
    Axis,
    Concat,
    Elementwise,
    Experts,
    Linear,
    Norm,
    Operation,
    Role,
    Rotary,
    Scan,
)
from ..architecture.sections import Section
from ..architecture.tensors import own_parameters

MOVING: Final = (Elementwise, Norm, Rotary, Concat)  # kinds that compute little and move what they touch
SUMS: Final = (
    "dense", "head", "experts", "attention", "scores", "scans", "moved", "routed", "exchanged",
)  # fmt: skip
ITEM: Final = 2  # bytes of an activation in mixed precision


class Work(Struct, frozen=True):
    """One token's share of a forward pass: floating-point operations, bytes moved, elements exchanged.

    `dense`, `head`, `experts`: matrix products outside the experts and the head, of the head, of the chosen
    experts. `attention`: scores and weighted sums under the causal mask; `scores` elements of their whole
    square. `scans`: recurrences over the sequence. `moved`: bytes that elementwise operations, norms and
    rotations read and write. `routed`: elements handed to experts. `reduced`: elements that tensor
    parallelism sums. `exchanged`: keys and values that context parallelism passes around.
    """

    dense: float
    head: float
    experts: float
    attention: float
    scores: float
    scans: float
    moved: float
    routed: float
    reduced: float
    exchanged: float
    layers: int
    expert_layers: int
    parameters: int
    expert_parameters: int
    expert_count: int
    top_k: int
    hidden: int

    @property
    def products(self) -> float:
        """All products but attention's [FLOPs]."""
        return self.dense + self.head + self.experts + self.scans


@lru_cache(maxsize=1024)
def work_of(architecture: Architecture, length: int) -> Work:
    """The work of one token in a sequence of `length` tokens."""
    extents = Extents(1, length)
    sums = dict.fromkeys(SUMS, 0.0)
    for section in architecture.sections:
        for op in section.block.operations:
            for name, amount in _amounts(op, extents):
                sums[name] += section.count * amount / length
    mixtures = [
        (section, op) for section, op in architecture.operations() if isinstance(op, Experts) and op.top_k
    ]
    return Work(
        **sums,
        reduced=2.0 * architecture.layers * architecture.hidden_size,
        layers=architecture.layers,
        expert_layers=sum(section.count for section, _ in mixtures),
        parameters=architecture.parameters.total,
        expert_parameters=sum(_expert_parameters(section) for section in architecture.sections),
        expert_count=max((op.count for _, op in mixtures), default=0),
        top_k=max((op.top_k for _, op in mixtures), default=0),
        hidden=architecture.hidden_size,
    )


def _amounts(op: Operation, extents: Extents) -> list[tuple[str, float]]:
    """What one operation adds for a whole sequence."""
    if isinstance(op, MOVING):
        return [("moved", ITEM * sum(extents.elements(t) for t in (*op.inputs, *op.outputs)))]
    flops = operation_flops(op, extents, causal=True)
    if isinstance(op, Attention):
        pair = op.kv_heads * (op.key_dim + op.value_dim)
        square = operation_flops(op, extents) / (2 * max(1, op.key_dim + op.value_dim))
        return [
            ("attention", flops),
            ("scores", square),
            ("exchanged", extents.rows(Axis.TOKENS) * pair),
        ]
    if isinstance(op, Experts):
        routed = extents.rows(op.output.axis) * op.top_k
        inner = routed * op.width * (5 if op.gated else 2)  # activation and product between the matrices
        return [("experts", flops), ("routed", routed * op.fan_in), ("moved", ITEM * inner)]
    if isinstance(op, Scan):
        return [("scans", flops)]
    if isinstance(op, Linear) and op.head:
        return [("head", flops)]
    return [("dense", flops)] if flops else []


def _expert_parameters(section: Section) -> int:
    owned = sum(p.size for p in own_parameters(section) if p.experts or p.role is Role.EXPERT)
    return owned * section.copies
