"""Inference memory: a request set up on its runtime, every distinct rank added up, and what fits."""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from ..messages import Message
from ..parallelism import Stage
from .estimate import Estimate, Fit, Rank
from .requests import InferenceRequest
from .runtimes import deploy
from .runtimes.base import Deployment
from .solve import solve

TOTAL = "inference_memory"


def estimate_inference(request: InferenceRequest) -> Estimate:
    """What the request needs on every distinct rank; with a `gpu`, whether that fits and what would.

    Raises `DomainError`: `InvalidLayout` for ranks the model cannot be cut over, `InvalidRequest` for other
    wrong values, `NotSupportedYet` for what is documented and not computed.
    """
    deployment = deploy(request)
    deployment.check()
    return estimate_deployed(deployment)


def estimate_deployed(deployment: Deployment) -> Estimate:
    """The same for a request that is set up and checked."""
    request = deployment.request
    ranks = ranks_of(deployment)
    deployment.warnings.extend(_idle_experts(deployment, ranks))
    extra: dict[str, Any] = {"minimum_bytes": _minimum(deployment)}
    if (seen := deployment.picture) and request.images:
        tokens = seen.tokens * request.images.count
        extra["images"] = {"tokens_each": seen.tokens, "patches_each": seen.patches, "tokens": tokens}
    fit = None
    if request.gpu is not None:
        fit = _fit(deployment, ranks)
        extra["capacity"] = _capacity(deployment)
    if request.solve_for is not None:
        extra["solution"] = solve(deployment, request.solve_for)
    fullest_first = tuple(sorted(ranks.values(), key=lambda rank: -rank.total))
    return Estimate(TOTAL, fullest_first, tuple(deployment.warnings), fit, deployment.parameters(), extra)


def predicted_figures(request: InferenceRequest) -> dict[str, float]:
    """What the runtime's start-up log would say [GiB, tokens], by the names of `validation/memory.jsonl`."""
    return deploy(request).figures()


def ranks_of(deployment: Deployment) -> dict[Stage, Rank]:
    """What each distinct rank holds."""
    return {
        stage: Rank(stage.role, deployment.ranks_of(stage), deployment.terms(stage))
        for stage in deployment.stages
    }


def _idle_experts(deployment: Deployment, ranks: Mapping[Stage, Rank]) -> Iterator[Message]:
    """A warning where groups of experts only deal the same bytes out in another way."""
    request = deployment.request
    if request.expert_parallel == 1 or "expert_parallel" in deployment.neutral:
        return
    whole = ranks_of(deploy(replace(request, expert_parallel=1)))
    if [rank.sizes for rank in whole.values()] == [rank.sizes for rank in ranks.values()]:
        yield Message("neutral_same_experts", {"field": "expert_parallel"})


def _minimum(deployment: Deployment) -> dict[str, int]:
    """The keys of `memory_bytes` for the least that would run, on the fullest rank."""
    fullest = max(ranks_of(deployment.minimum()).values(), key=lambda rank: rank.total)
    return {**fullest.sizes, TOTAL: fullest.total}


def _fit(deployment: Deployment, ranks: Mapping[Stage, Rank]) -> Fit:
    """Judged on the rank with the least left."""
    tightest = deployment.tightest()
    need, budget = ranks[tightest].total, deployment.budget(tightest)
    usable = deployment.device.usable
    return Fit(need <= min(budget, deployment.device.total), usable, budget, budget - need, need / usable)


def _capacity(deployment: Deployment) -> Mapping[str, Any]:
    """What the runtime would log, the largest batch over all replicas and the longest sequence."""
    found = deployment.capacity()
    found["max_batch_size"] = deployment.largest_batch() * deployment.layout.data
    found["max_sequence_length"] = deployment.longest()
    return found
