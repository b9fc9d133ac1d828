"""Prompts read by replicas of their own, one for each that decodes: no prompt ever stretches a token's gap.

The reading replica is a queue of one server and equal services (M/D/1); the first token comes from it, the
second waits for the cache to cross the network.
"""

from msgspec.structs import replace

from .estimate import Flow, Quantiles
from .load import root
from .replica import Point, Service, service_of
from .setup import Setup
from .tails import gamma_quantile, quantiles_of_ttft


def disaggregated(setup: Setup, rate: float) -> Flow:
    """A Poisson stream of `rate` requests/s over all pairs of replicas."""
    service = service_of(setup)
    mine = rate / setup.replicas
    read = setup.engine.prefill(1, setup.prompt, setup.cached)
    step = service.step(float(service.room))
    decodable = service.room / (service.steps * step) if service.steps else float("inf")
    sustainable = min(1 / read, decodable)
    load = mine / sustainable
    served = min(mine, sustainable)
    busy = min(served * read, 0.999)
    waiting = busy * read / (2 * (1 - busy))
    if load >= 1:
        waiting += (1 / sustainable - 1 / mine) * setup.request.num_requests / setup.replicas / 2
    ttft = service.start + waiting + read
    point = decoding(service, served)
    rest = service.steps * point.mean_step + (transfer(setup) if service.steps else 0.0)
    gap = rest / service.steps / setup.engine.accepted if service.steps else 0.0
    return Flow(
        ttft=ttft,
        tpot=gap,
        itl=gap,
        e2e=ttft + rest,
        requests_per_s=served * setup.replicas,
        in_flight=point.sequences,
        waiting=mine * waiting,
        saturation=load,
        sustainable=sustainable * setup.replicas,
        spread=lambda: spread(service, ttft, service.start + read, load, gap, rest),
    )


def decoding(service: Service, rate: float) -> Point:
    """The sequences that a rate keeps decoding where nothing else runs: c = rate n s(c)."""
    quiet = replace(service, read_at=(0.0, 0.0))
    room = float(service.room)
    found = root(lambda c: c - rate * quiet.steps * quiet.step(c), 0.0, room) if quiet.steps else 0.0
    step = quiet.step(found)
    return Point(found, step, 0.0, step, rate)


def transfer(setup: Setup) -> float:
    """Seconds that the cache of one prompt takes over the network, each rank sending its own share."""
    d = setup.deployment
    size = max(d.cache_bytes(stage, 1, setup.request.input_length) for stage in d.stages)
    return size / (setup.request.inter_node_gb_s * 1e9)


def spread(
    service: Service, ttft: float, floor: float, load: float, gap: float, rest: float
) -> dict[str, Quantiles]:
    """Percentiles: gaps are all alike, the rest is waiting and the lengths of answers."""
    first = quantiles_of_ttft(ttft, floor, load, False, True)
    same = Quantiles(gap, gap, gap, gap)
    p50, p90, p99 = (
        wait + rest * gamma_quantile(service.cv, share)
        for wait, share in ((first.p50, 0.5), (first.p90, 0.9), (first.p99, 0.99))
    )
    return {
        "ttft_ms": first,
        "tpot_ms": same,
        "itl_ms": same,
        "e2e_latency_ms": Quantiles(ttft + rest, p50, p90, p99),
    }
