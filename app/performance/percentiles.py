"""Percentiles of each latency under load, in closed form."""

from collections.abc import Mapping
from math import sqrt
from typing import Final

from .estimate import Quantiles
from .replica import Point, Service
from .setup import Setup
from .tails import gamma_quantile, poisson_quantile, quantiles_of_ttft

NORMAL: Final = {"p50": 0.0, "p90": 1.2816, "p99": 2.3263}
SHARES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


def percentiles(
    setup: Setup, service: Service, point: Point, ttft: float, load: float
) -> Mapping[str, Quantiles]:
    """Percentiles of each latency."""
    floor = service.start + point.step + point.read
    long = point.read > 5 * point.step
    first = quantiles_of_ttft(ttft, floor, load, service.cv > 0.5, long)
    none = Quantiles(0.0, 0.0, 0.0, 0.0)
    deviation = _deviation(service, point)
    return {
        "ttft_ms": first,
        "tpot_ms": _per_request(setup, service, point, deviation) if service.steps else none,
        "itl_ms": _gaps(setup, point) if service.steps else none,
        "e2e_latency_ms": _whole(service, point, ttft, first, deviation),
    }


def _per_request(setup: Setup, service: Service, point: Point, deviation: float) -> Quantiles:
    """Mean gap of a request, which varies with what falls into it."""
    kept = setup.engine.accepted
    mean = point.stay(service.steps) / service.steps
    wide = deviation / service.steps
    at = {name: max(point.step, mean + z * wide) / kept for name, z in NORMAL.items()}
    return Quantiles(mean / kept, at["p50"], at["p90"], at["p99"])


def _deviation(service: Service, point: Point) -> float:
    """Standard deviation of the time from first to last token, of answers of one length [s].

    Prompts that fall into it are a Poisson number, each of which lets more come; and how many decode
    beside it varies as much as a Poisson number does.
    """
    stay = point.stay(service.steps)
    alive = max(point.sequences, 1.0)
    beside = max(0.0, service.step(min(alive + sqrt(alive), service.room)) - service.step(alive))
    prompts = sqrt(point.rate * stay) * point.read
    if not point.loop:
        prompts /= 1 - point.reading
    return sqrt(prompts**2 + (service.steps * beside) ** 2)


def _gaps(setup: Setup, point: Point) -> Quantiles:
    """Gaps: a bare step, or one with as many prompts as a gate holds; never more than the budget reads."""
    kept, coming = setup.engine.accepted, point.rate * point.mean_step
    most = point.step + max(point.read, setup.engine.budget / max(setup.prompt, 1) * point.read)
    at = {
        name: min(most, point.step + point.read * poisson_quantile(coming, share)) / kept
        for name, share in SHARES.items()
    }
    return Quantiles(point.mean_step / kept, at["p50"], at["p90"], at["p99"])


def _whole(service: Service, point: Point, ttft: float, first: Quantiles, deviation: float) -> Quantiles:
    """Whole requests: lengths as their distribution has them, and the spread of their gaps."""
    rest = point.stay(service.steps)
    if not rest:
        return first
    slow = deviation / rest
    cv = sqrt(service.cv**2 + slow**2)
    p50, p90, p99 = (ttft + rest * gamma_quantile(cv, share) for share in SHARES.values())
    return Quantiles(ttft + rest, p50, p90, p99)
