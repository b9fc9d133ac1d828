"""Data-parallel sharding: which parts of a replica each rank keeps, and the buffers that this costs."""

from dataclasses import dataclass

from ..requests import TrainingRequest


@dataclass(frozen=True, slots=True)
class Sharding:
    """Into how many parts weights, gradients and states are divided; `buckets` tells of DDP's copies."""

    name: str = "none"
    weights: int = 1
    gradients: int = 1
    states: int = 1
    buckets: bool = False


def sharding_of(request: TrainingRequest) -> Sharding:
    """ZeRO (arXiv 1910.02054) and FSDP (arXiv 2304.11277) divide over data and context parallel ranks."""
    ranks = request.data_parallel * request.context_parallel
    if request.fsdp == "hsdp":
        ranks = min(ranks, request.gpus_per_node)
    if ranks == 1:
        return Sharding()
    if request.fsdp != "none":
        return Sharding(request.fsdp, ranks, ranks, ranks)
    stage = request.zero_stage
    if stage:
        return Sharding(f"zero{stage}", ranks if stage > 2 else 1, ranks if stage > 1 else 1, ranks)
    return Sharding("ddp", buckets=True)
