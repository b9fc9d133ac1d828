"""Buffers that data-parallel sharding keeps beside a rank's shards."""

from typing import Final

from ...architecture.tensors import own_parameters
from ...parallelism import Layout, Stage, local_size
from ..requests import TrainingRequest
from .deepspeed import gathering, reducing
from .sharding import NO_BUFFERS, Buffers, Sharding

BLOCKS_IN_FLIGHT: Final = 2  # the block at work and the one that is gathered ahead


def buffers(
    request: TrainingRequest, sharding: Sharding, stage: Stage, layout: Layout, item: int, gradient_item: int,
    trained: int, own: int,
) -> Buffers:  # fmt: skip
    """Buffers of one rank [bytes]; `trained`: elements with gradients, `own` of them stepped here, items in
    bytes per element.

    DDP keeps buckets for all gradients, Megatron's distributed optimizer reduces its own where they are. FSDP
    keeps the block at work and the next one whole (one at the head), its root group of embeddings and head
    through the whole step, and in backward one block's gradients in the type they are reduced in.
    """
    if sharding.name == "ddp":
        return Buffers(always=trained * gradient_item)
    if sharding.name == "none":
        return NO_BUFFERS
    if sharding.name.startswith("zero"):
        if request.framework == "megatron" and not sharding.gathers:
            return NO_BUFFERS
        write = gathering if sharding.gathers else reducing
        return write(request, stage, layout, item, own)
    whole = sharding.experts == 1 and request.offload.parameters == "none"
    layer, root = (size * item for size in _sizes(stage, layout, whole_experts=whole))
    reduced = layer // item * gradient_item if trained else 0
    at_work = root + BLOCKS_IN_FLIGHT * layer
    return Buffers(at_work, at_work + reduced, root + layer, root + layer)


def _sizes(stage: Stage, layout: Layout, *, whole_experts: bool) -> tuple[int, int]:
    """Elements gathered of the largest layer, and of everything outside the layers; `whole_experts`: a rank
    has its experts to itself."""
    layer = root = 0
    for section, _ in stage.sections:
        gathered = (p for p in own_parameters(section) if not (whole_experts and p.experts))
        size = sum(local_size(parameter, layout) for parameter in gathered)
        if "{}" in section.template:
            layer = max(layer, size)
        else:
            root += size
    return layer, root
