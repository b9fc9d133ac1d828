"""Activations of a forward pass without gradients: what is alive at once beside weights and cache.

A serving forward keeps the residual stream and one block's intermediate tensors; blocks are walked once
per architecture, layout and stage into a few widths [elements per token].
"""

from functools import lru_cache

from msgspec import Struct

from ..architecture import Architecture
from ..architecture.operations import Attention, Experts, Linear, Role
from ..architecture.sections import Section
from ..parallelism import Layout, Stage, local_size


class Widths(Struct, frozen=True):
    """Elements per token on one rank: residual stream, the widest feed-forward and attention steps.

    `feed_forward`: what goes into and out of the activation function (gate, up and their product).
    `attention`: queries, keys, values and the mixed values. `heads` are query heads here.
    `attended`: what attention kernels accumulate, the latent's width for each head where there is one.
    """

    hidden: int
    feed_forward: int
    attention: int
    query: int
    heads: int
    vocabulary: int
    experts: int = 0
    top_k: int = 0
    expert_width: int = 0
    expert_gated: bool = True
    latent: bool = False
    attended: int = 0


@lru_cache(maxsize=1024)
def widths(architecture: Architecture, layout: Layout, stage: Stage) -> Widths:
    """The widths of one rank."""
    feed_forward = attention = query = heads = attended = 0
    routed: Experts | None = None
    latent = False
    for section, _ in stage.sections:
        if section.component not in ("decoder", "encoder"):
            continue
        feed_forward = max(feed_forward, feed_forward_width(section, layout))
        for operation in section.block.operations:
            if isinstance(operation, Attention):
                here = -(-operation.heads // layout.tensor)
                kv = max(1, -(-operation.kv_heads // layout.tensor))
                wide = here * (operation.key_dim + operation.value_dim) + kv * (
                    operation.key_dim + operation.value_dim
                )
                attention, heads = max(attention, wide), max(heads, here)
                query = max(query, here * operation.key_dim)
                compressed = operation.cache.latent_parts if operation.cache else ()
                attended = max(attended, here * (compressed[0] if compressed else operation.value_dim))
                latent = latent or bool(operation.cache and operation.cache.latent)
            elif isinstance(operation, Experts):
                routed = operation
    return Widths(
        architecture.hidden_size,
        feed_forward,
        attention,
        query,
        heads,
        architecture.vocab_size,
        routed.count if routed else 0,
        routed.top_k if routed else 0,
        -(-routed.width // layout.expert_tensor) if routed else 0,
        routed.gated if routed else True,
        latent,
        attended,
    )


def feed_forward_width(section: Section, layout: Layout) -> int:
    """Outputs of the projections before the activation, and what goes into the one after [per token]."""
    widest = 0
    for linears in _feed_forwards(section):
        *into, out = linears
        wide = sum(_local_size(op, layout) * op.groups // op.fan_in for op in into)
        widest = max(widest, wide + _local_size(out, layout) * out.groups // out.fan_out)
    return widest


def _local_size(op: Linear, layout: Layout) -> int:
    return local_size(op.parameters[0], layout)


def _feed_forwards(section: Section) -> list[list[Linear]]:
    """The matrices of each module that is not an attention, in order."""
    attentions = {op.name for op in section.block.operations if isinstance(op, Attention)}
    found: dict[str, list[Linear]] = {}
    for op in section.block.operations:
        if isinstance(op, Linear) and op.parameters and op.parameters[0].role is Role.LINEAR:
            found.setdefault(op.name.rpartition(".")[0], []).append(op)
    return [linears for module, linears in found.items() if module not in attentions and len(linears) > 1]
