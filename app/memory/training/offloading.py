"""What a run puts outside the GPU: which parts leave it, and what takes their place in host memory."""

from collections.abc import Iterable
from typing import Any

from ...parallelism import Layout, Stage
from ..requests import TrainingRequest
from .deepspeed import HostTerm, host_terms
from .resident import Resident
from .sharding import Sharding


def leaves(request: TrainingRequest, sharding: Sharding) -> frozenset[str]:
    """Which of weights, gradients and states leave the GPU.

    FSDP's CPU offloading takes all three (torch `CPUOffloadPolicy`, FSDP1 `CPUOffload`); ZeRO-2 and -3 copy
    gradients to the optimizer in host memory as they are reduced.
    """
    gone = set()
    if request.offload.parameters != "none":
        gone.add("weights")
        if sharding.name in ("fsdp1", "fsdp2", "hsdp"):
            gone |= {"gradients", "states"}
    if request.offload.optimizer != "none":
        gone.add("states")
        if sharding.name in ("zero2", "zero3"):
            gone.add("gradients")
    return frozenset(gone)


def outside(
    request: TrainingRequest, sharding: Sharding, stage: Stage, layout: Layout, held: Resident, item: int,
    gradient_item: int,
) -> tuple[HostTerm, ...]:  # fmt: skip
    """What one rank of a stage keeps outside its GPU, activations aside; raises `InvalidRequest`."""
    if sharding.name.startswith("zero"):
        return tuple(host_terms(request, stage, layout, held, item, gradient_item))
    gone = leaves(request, sharding)
    found = []
    if "weights" in gone:
        found.append(HostTerm("parameters", held.weights, "cpu", pinned=True))
    if "gradients" in gone:
        found.append(HostTerm("gradients", held.gradients, "cpu", pinned=True))
    if "states" in gone:
        found.append(HostTerm("optimizer_states", held.states, "cpu"))
        if held.masters:
            found.append(HostTerm("master_weights", held.masters, "cpu"))
    return tuple(found)


def per_node(terms: Iterable[HostTerm], ranks: int) -> dict[str, Any]:
    """The answer's section on one machine with this many ranks, each holding these terms [bytes]."""
    rows = [term for term in terms if term.bytes]

    def total(where: str, pinned: bool = False) -> int:
        return ranks * sum(t.bytes for t in rows if t.where == where and (t.pinned or not pinned))

    return {
        "cpu_bytes_per_node": total("cpu"),
        "pinned_bytes_per_node": total("cpu", pinned=True),
        "nvme_bytes_per_node": total("nvme"),
        "offloaded": [
            {"term": t.name, "where": t.where, "pinned": t.pinned, "bytes_per_gpu": t.bytes,
             "bytes_per_node": ranks * t.bytes}
            for t in rows
        ],
    }  # fmt: skip
