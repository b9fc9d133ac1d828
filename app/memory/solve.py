"""The inverse questions: the largest batch, the longest sequence, the concurrency, the fewest GPUs."""

from collections.abc import Iterator
from math import ceil
from typing import Any, Final

from msgspec.structs import replace

from ..errors import DomainError
from ..parallelism import tensor_sizes
from .requests import InferenceRequest
from .runtimes import deploy
from .runtimes.base import Deployment

MOST_GPUS: Final = 1024


def solve(deployment: Deployment, question: str) -> dict[str, Any]:
    """The answer of one question on the device of the request (an H100 where none is named).

    `value` is None where nothing fits; `min_gpus` names the layout too.
    """
    match question:
        case "max_batch_size":
            return {"solve_for": question, "value": deployment.largest_batch() * deployment.layout.data}
        case "max_sequence_length":
            return {"solve_for": question, "value": deployment.longest()}
        case "max_concurrency":
            return {"solve_for": question, "value": _concurrency(deployment)}
        case _:
            return {"solve_for": question, **_fewest(deployment)}


def _concurrency(deployment: Deployment) -> float:
    """As the runtime logs it; whole sequences where it logs none."""
    logged = deployment.capacity()["max_concurrency"]
    return float(logged) if logged is not None else float(deployment.largest_batch())


def _fewest(deployment: Deployment) -> dict[str, Any]:
    """The smallest replica that holds the asked batch: fewest GPUs, then fewest pipeline stages."""
    request = deployment.request
    for tensor, pipeline in _layouts(deployment):
        tried = replace(
            request,
            tensor_parallel=tensor,
            pipeline_parallel=pipeline,
            data_parallel=1,
            expert_parallel=1,
            context_parallel=1,
            batch_size=request.batch_size,
        )
        try:
            candidate = deploy(tried)
        except DomainError:
            continue
        if candidate.slack(candidate.batch, candidate.length) >= 0:
            return {"value": tensor * pipeline, "tensor_parallel": tensor, "pipeline_parallel": pipeline}
    return {"value": None}


def _layouts(deployment: Deployment) -> Iterator[tuple[int, int]]:
    """Layouts from the fewest GPUs that could hold the weights; tensor ranks stay inside a machine."""
    request, layers = deployment.request, max(1, deployment.stored.architecture.layers)
    tensors = [size for size in tensor_sizes(deployment.stored.architecture) if size <= request.gpus_per_node]
    least = max(1, _weights(request) // max(1, deployment.device.total))
    found = ((t * p, p, t) for t in tensors for p in _stages(t, layers) if least <= t * p <= MOST_GPUS)
    yield from ((t, p) for _, p, t in sorted(found))


def _stages(tensor: int, layers: int) -> Iterator[int]:
    """Pipeline sizes: every one below eight, then powers of two."""
    return (
        p
        for p in (1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32, 64, 128)
        if p <= layers and tensor * p <= MOST_GPUS
    )


def _weights(request: InferenceRequest) -> int:
    """Weights of the whole model [bytes]."""
    alone = deploy(
        replace(
            request,
            tensor_parallel=1,
            pipeline_parallel=1,
            data_parallel=1,
            expert_parallel=1,
            context_parallel=1,
            solve_for=None,
        )
    )
    return ceil(sum(alone.model_bytes(stage) for stage in alone.stages))
