"""The load of an option: the largest batch that holds the targets, or the replicas that a load needs."""

from collections.abc import Callable, Mapping
from math import ceil
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ..memory.runtimes.base import Deployment
from ..messages import Message
from ..performance.estimate import Flow
from ..performance.load import closed, poisson
from ..performance.replica import Service, service_of
from ..performance.requests import PerformanceRequest
from ..performance.setup import Setup, set_up
from .bounds import gap_asked
from .requests import Limits, Targets

BUSY: Final = 0.85  # of what can be sustained: above nine tenths latencies cannot be told
ENDLESS: Final = 10**9  # requests of a run whose start does not count
CLOSE_ENOUGH: Final = 16  # the largest batch is found within one part of so many
SECANTS: Final = 4
LATENCIES: Final = ("ttft_ms", "tpot_ms", "itl_ms", "e2e_latency_ms")


class Held(Struct, frozen=True):
    """A load that holds the targets: sequences in flight over all replicas, figures by contract names."""

    batch: int
    replicas: int
    figures: Mapping[str, float | None]
    settings: Mapping[str, object]


def hold(
    request: PerformanceRequest, targets: Targets, limits: Limits, deployed: Deployment | None = None
) -> Held | Message:
    """The load of one layout that holds the targets, or why there is none; raises `DomainError`.

    `deployed`: the layout on its runtime, where that is known already.
    """
    setup = set_up(served(request), deployed)
    if not setup.fits:
        return Message("plan_no_fit")
    most = max(1, limits.max_gpus // setup.deployment.layout.gpus)
    rate = targets.requests_per_sec or request.request_rate
    one = service_of(setup)
    if rate is not None:
        return _replicated(setup, targets, most, lambda s: poisson(s, rate, one), _least(one, rate), None)
    if request.concurrency is not None:
        asked = request.concurrency
        least = max(1, ceil(asked / setup.room))
        return _replicated(setup, targets, most, lambda s: closed(s, asked, one), least, asked)
    return _largest(setup, one, targets, limits.data_parallel or 1)


def served(request: PerformanceRequest) -> PerformanceRequest:
    """The question as of a server that goes on for ever: no batch that starts together, no first requests."""
    alone = request.request_rate is None and request.concurrency is None
    return replace(request, concurrency=1 if alone else request.concurrency, num_requests=ENDLESS)


def _least(one: Service, rate: float) -> int:
    """Replicas that a rate needs at least."""
    return max(1, ceil(rate / (BUSY * one.sustainable())))


def _replicated(
    setup: Setup, targets: Targets, most: int, flow_of: Callable[[Setup], Flow], least: int,
    batch: int | None,
) -> Held | Message:  # fmt: skip
    """The fewest replicas under which a given load holds the targets."""
    replicas, lost = least, Message("plan_too_slow", {"replicas": least, "most": most})
    while replicas <= most:
        spread = _over(setup, replicas)
        flow = flow_of(spread)
        found = _figures(flow, spread)
        broken = _broken(flow, found, targets)
        if broken is None and (flow.saturation is None or flow.saturation <= BUSY or batch is not None):
            return Held(batch or max(1, ceil(flow.in_flight * replicas)), replicas, found, _settings(setup))
        lost = broken or lost
        if broken is not None and _alone_misses(setup, targets):
            return broken
        replicas = max(replicas + 1, ceil(replicas * 1.25))
    return lost


def _alone_misses(setup: Setup, targets: Targets) -> bool:
    """Whether even one request by itself misses a target."""
    flow = closed(_over(setup, 1), 1)
    return _broken(flow, _figures(flow, setup), targets) is not None


def _largest(setup: Setup, one: Service, targets: Targets, replicas: int) -> Held | Message:
    """The largest number of requests in flight that holds the targets and fits at their full length."""
    spread = _over(setup, replicas)
    high = min(_most(one, targets), max(1, setup.deployment.largest_batch()))
    low, best, broken = 0, None, None
    at = max(high, 1)
    while at > low:
        flow = closed(spread, at * replicas, one)
        lost = _broken(flow, _figures(flow, spread), targets)
        if lost is None:
            best, low = (at, flow), at
        else:
            if broken is None and _alone_misses(setup, targets):
                return lost
            broken, high = lost, at - 1
        if high - low <= high // CLOSE_ENOUGH:
            break
        at = (low + high + 1) // 2
    if best is None:
        return broken or Message("plan_no_fit")
    wanted = targets.output_tokens_per_sec
    found = _figures(best[1], spread)
    if wanted is not None and (found["output_tokens_per_sec"] or 0) < wanted:
        reached = f"{found['output_tokens_per_sec']:.1f}"
        return missed("output_tokens_per_sec", reached, wanted)
    return Held(best[0] * replicas, replicas, found, _settings(setup))


def _most(service: Service, targets: Targets) -> int:
    """Sequences whose mean gap stays within the targets, by secants: a step is nearly linear in them."""
    asked = gap_asked(targets)
    if asked is None or not service.steps:
        return service.room
    goal = asked * service.engine.accepted
    low, high = 1.0, float(service.room)
    shortest, longest = _gap(service, low), _gap(service, high)
    if longest <= goal:
        return service.room
    for _ in range(SECANTS):
        if shortest >= goal:
            return 1
        at = low + (goal - shortest) * (high - low) / (longest - shortest)
        gap = _gap(service, at)
        if gap <= goal:
            low, shortest = at, gap
            if gap > 0.97 * goal:
                break
        else:
            high, longest = at, gap
    return max(1, int(low))


def _gap(service: Service, sequences: float) -> float:
    """Mean step of a full loop: S = s + c T / n."""
    return service.step(sequences) + sequences * service.read(sequences) / service.steps


def _over(setup: Setup, replicas: int) -> Setup:
    """The same with so many replicas."""
    if replicas == setup.replicas:
        return setup
    serving = replace(setup.request.serving, data_parallel=replicas)
    return replace(setup, request=replace(setup.request, serving=serving))


def _figures(flow: Flow, setup: Setup) -> dict[str, float | None]:
    request = setup.request
    written = flow.requests_per_s * request.output_length
    return {
        "ttft_ms": 1e3 * flow.ttft,
        "tpot_ms": 1e3 * flow.tpot,
        "itl_ms": 1e3 * flow.itl,
        "e2e_latency_ms": 1e3 * flow.e2e,
        "throughput_tokens_per_sec": written + flow.requests_per_s * request.input_length,
        "output_tokens_per_sec": written,
        "requests_per_sec": flow.requests_per_s,
        "saturation": flow.saturation,
    }


def _broken(flow: Flow, figures: Mapping[str, float | None], targets: Targets) -> Message | None:
    """The first target that a flow misses."""
    for name in LATENCIES:
        target = getattr(targets, name)
        if target is None:
            continue
        value = figures[name] or 0.0
        if targets.statistic != "mean" and name in flow.percentiles:
            value = 1e3 * getattr(flow.percentiles[name], targets.statistic)
        if value > target:
            return missed(name, f"{value:.1f}", target)
    return None


def missed(name: str, value: str, target: float) -> Message:
    """A target that is not held."""
    return Message("plan_misses", {"name": name, "value": value, "target": f"{target:g}"})


def _settings(setup: Setup) -> Mapping[str, object]:
    """What the launch command needs of the runtime's settings."""
    return {**setup.deployment.parameters(), "max_model_len": setup.deployment.length}
