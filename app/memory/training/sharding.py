"""Data-parallel sharding: which parts of a replica each rank keeps, and the buffers that this costs.

ZeRO (arXiv 1910.02054; DeepSpeed `runtime/zero`) and FSDP (arXiv 2304.11277; torch `fully_shard`) divide
over data- and context-parallel ranks.
"""

from dataclasses import dataclass
from math import gcd
from typing import Final

from ...architecture.tensors import own_parameters
from ...parallelism import Layout, Stage, local_size
from ...units import ceil_div
from ..requests import TrainingRequest

REDUCE_BUCKET: Final = 500_000_000  # elements of DeepSpeed's `reduce_bucket_size` and `allgather_bucket_size`
BLOCKS_IN_FLIGHT: Final = 2  # the block at work and the one that is gathered ahead


@dataclass(frozen=True, slots=True)
class Sharding:
    """Into how many parts weights, gradients and states are divided.

    `name`: none, ddp, zero1, zero2, zero3, fsdp1, fsdp2 or hsdp. `experts`: into how many parts those of
    routed experts are, which only the ranks with the same experts share; 0 for as many as all others.
    """

    name: str = "none"
    weights: int = 1
    gradients: int = 1
    states: int = 1
    experts: int = 0

    @property
    def gathers(self) -> bool:
        """Whether weights are gathered block by block."""
        return self.weights > 1

    def of_experts(self, parts: int) -> int:
        """Into how many parts experts' share of what is divided into `parts` is divided."""
        return self.experts if parts > 1 and self.experts else parts

    def divided(self, parts: int, size: int, of_experts: int) -> int:
        """One rank's part of a size, `of_experts` of which belong to routed experts."""
        apart = self.of_experts(parts)
        if apart == parts:
            return ceil_div(size, parts)
        return ceil_div(size - of_experts, parts) + ceil_div(of_experts, apart)


def sharding_of(request: TrainingRequest) -> Sharding:
    """The sharding that a request asks for; over one rank there is none."""
    ranks = request.data_parallel * request.context_parallel
    if request.fsdp == "hsdp":
        ranks = min(ranks, request.gpus_per_node)
    if ranks == 1:
        return Sharding()
    layout = layout_of(request)
    groups = layout.expert * layout.expert_tensor
    alike = max(1, ranks * layout.tensor // groups) if layout.expert > 1 else 0
    if request.fsdp != "none":
        return Sharding(request.fsdp, ranks, ranks, ranks, alike)
    stage = request.zero_stage
    if stage:
        return Sharding(f"zero{stage}", ranks if stage > 2 else 1, ranks if stage > 1 else 1, ranks, alike)
    return Sharding("ddp")


def layout_of(request: TrainingRequest) -> Layout:
    """The groups of a training run.

    Experts are divided over `expert_parallel` of the tensor- and data-parallel ranks, and their matrices cut
    as all others are where ranks suffice (Megatron Core: `expert_tensor_parallel_size` is
    `tensor_model_parallel_size` by default); what ranks are left hold the same experts.
    """
    tensor, data, expert = request.tensor_parallel, request.data_parallel, request.expert_parallel
    slices = gcd(tensor, tensor * data // expert) if expert > 1 else 0
    return Layout(
        tensor, request.pipeline_parallel, data, expert, request.context_parallel,
        experts_over_data=expert > tensor, expert_slices=slices,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Buffers:
    """Bytes beside a rank's shards: while a layer runs forward or backward, while anything else does, in the
    optimizer step, and always from the first step on."""

    layer_forward: int = 0
    layer_backward: int = 0
    other_forward: int = 0
    other_backward: int = 0
    step: int = 0
    always: int = 0


NO_BUFFERS: Final = Buffers()


def buffers(
    sharding: Sharding,
    stage: Stage,
    layout: Layout,
    item: int,
    gradient_item: int,
    trained: int,
    of_experts: int = 0,
) -> Buffers:
    """Buffers of one rank [bytes]; `trained`: elements with gradients, items in bytes per element.

    DDP keeps buckets for all gradients. ZeRO-1 and -2 reduce through one bucket and widen their share of
    the gradients to float32 for the step. Gathering keeps the block at work and the next one whole (one at
    the head), FSDP also its root group of embeddings and head through the whole step, and in backward one
    block's gradients in the type they are reduced in.
    """
    if sharding.name == "ddp":
        return Buffers(always=trained * gradient_item)
    if sharding.name == "none":
        return Buffers()
    bucket = min(REDUCE_BUCKET, trained) * gradient_item
    if not sharding.gathers:
        widened = 4 * sharding.divided(sharding.states, trained, of_experts)
        return Buffers(layer_backward=bucket, other_backward=bucket, step=widened)
    layer, root = (size * item for size in _sizes(stage, layout))
    kept = root if sharding.name.startswith(("fsdp", "hsdp")) else 0
    reduced = layer // item * gradient_item if trained else 0
    at_work = kept + BLOCKS_IN_FLIGHT * layer
    return Buffers(at_work, at_work + reduced, kept + layer, kept + layer)


def _sizes(stage: Stage, layout: Layout) -> tuple[int, int]:
    """Elements of the largest layer, and of everything outside the layers."""
    layer = root = 0
    for section, _ in stage.sections:
        size = sum(local_size(parameter, layout) for parameter in own_parameters(section))
        if "{}" in section.template:
            layer = max(layer, size)
        else:
            root += size
    return layer, root
