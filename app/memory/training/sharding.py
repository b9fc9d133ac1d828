"""Data-parallel sharding: which parts of a replica each rank keeps, and the buffers that this costs.

ZeRO (arXiv 1910.02054; DeepSpeed `runtime/zero`) and FSDP (arXiv 2304.11277; torch `fully_shard`) divide
over data- and context-parallel ranks.
"""

from math import gcd
from typing import Final

from msgspec import Struct

from ...parallelism import Layout
from ...units import ceil_div
from ..requests import TrainingRequest

GATHERING: Final = ("zero3", "fsdp1", "fsdp2", "hsdp")


class Sharding(Struct, frozen=True):
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
        return self.name in GATHERING

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
    """The sharding that a request asks for; over one rank there is none, unless something leaves the GPU."""
    ranks = request.data_parallel * request.context_parallel
    if request.fsdp == "hsdp":
        ranks = min(ranks, request.gpus_per_node)
    if ranks == 1 and request.offload.optimizer == request.offload.parameters == "none":
        return Sharding()
    layout = layout_of(request)
    groups = layout.expert * layout.expert_tensor
    alike = max(1, ranks * layout.tensor // groups) if layout.expert > 1 else 0
    if request.fsdp != "none":
        return Sharding(request.fsdp, ranks, ranks, ranks, alike)
    stage = request.stage
    if stage:
        return Sharding(f"zero{stage}", ranks if stage > 2 else 1, ranks if stage > 1 else 1, ranks, alike)
    return Sharding("ddp" if ranks > 1 else "none")


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


class Buffers(Struct, frozen=True):
    """Bytes beside a rank's shards: while a layer runs forward or backward, while anything else does, in the
    optimizer step, and always from the first step on."""

    layer_forward: int = 0
    layer_backward: int = 0
    other_forward: int = 0
    other_backward: int = 0
    step: int = 0
    always: int = 0


NO_BUFFERS: Final = Buffers()
