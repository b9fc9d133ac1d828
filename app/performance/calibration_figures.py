"""What a request's figures are for any factors, and what no device could beat."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from msgspec.structs import replace

from .calibration import NONE, Calibration, Factors
from .calibration_fit import Predict
from .corrections import corrected
from .estimate import LATENCIES, RATES, Flow
from .inference import figures_of, flow_of
from .requests import PerformanceRequest
from .roofline import Rates
from .setup import Setup, set_up
from .step import Engine
from .training import estimate_training_performance
from .training_requests import TrainingPerformance, TrainingSpeedRequest

SERVING: Final = (*LATENCIES, *RATES)
TRAINING: Final = ("step_ms", "tokens_per_sec", "tokens_per_sec_per_gpu", "mfu")
TIMES: Final = (*LATENCIES, "step_ms")
# Standard deviations of logarithms: how far one run lies from the next, and the form from either.
NOISE: Final = {"ttft_ms": 0.2}
NOISE_ELSE: Final = 0.1
ROUNDED: Final = 1.27  # a smooth maximum is at most 2^(1/3) over the larger of its two
SHARES: Final = ("experts", "unpacking", "state")  # of a rate that is reached
NO_TIME: Final = 1e30  # bytes/s of a link that takes none


def of_serving(request: PerformanceRequest) -> Callable[[str], Predict]:
    """Predictions of a request by the figure's name, set up once; raises `DomainError`."""
    setup = set_up(replace(request, mode="closed_form", calibration=None))

    @lru_cache(maxsize=16)
    def flow(factors: Factors) -> Flow:
        return _flow(setup, lambda rates: corrected(rates, factors))

    return lambda name: lambda factors: figures_of(flow(factors), setup.request)[name]


def best_of_serving(request: PerformanceRequest) -> Callable[[str], float]:
    """The same of a device that reaches its datasheet in everything, beside which nothing takes time."""
    setup = set_up(replace(request, mode="closed_form", calibration=None))
    found = figures_of(_flow(setup, _ideal), setup.request)
    return lambda name: found[name] / ROUNDED if name in TIMES else found[name] * ROUNDED


def _flow(setup: Setup, change: Callable[[Rates], Rates]) -> Flow:
    engine = _with(setup.engine, change)
    return flow_of(replace(setup, engine=engine), setup.request)


def _with(engine: Engine, change: Callable[[Rates], Rates]) -> Engine:
    draft = None if engine.draft is None else _with(engine.draft, change)
    return replace(engine, rates=change(engine.rates), draft=draft)


def _ideal(rates: Rates) -> Rates:
    whole: dict[str, Any] = {name: 1.0 for name in Rates.__struct_fields__ if name in SHARES}
    size, wide, narrow = rates.peak_bandwidth, rates.peak_flops, rates.peak_narrow or rates.peak_flops
    return replace(
        rates, flops=wide, narrow_flops=max(wide, narrow), attention_flops=wide, bandwidth16=size,
        bandwidth8=size, bandwidth4=size, cache_bandwidth=size, link=NO_TIME, reduce=NO_TIME,
        repeated=0.0, serial=0.0, moving=0.0, message=0.0, short_prompt=0.0, layer=0.0, step=0.0,
        sequence=0.0, stream=0.0, chunk=0.0, start=0.0, **whole,
    )  # fmt: skip


def of_training(request: TrainingSpeedRequest) -> Callable[[str], Predict]:
    """Predictions of a training run by the figure's name; raises `DomainError`."""

    @lru_cache(maxsize=16)
    def found(factors: Factors) -> TrainingPerformance:
        return estimate_training_performance(replace(request, calibration=everywhere(request, factors)))

    found(NONE)
    return lambda name: lambda factors: figure_of_training(found(factors), name)


def everywhere(request: TrainingSpeedRequest, factors: Factors) -> Calibration:
    """A calibration that counts on the device and under the framework of a request."""
    gpu = request.training.gpu
    return Calibration(factors, () if gpu is None else (gpu.name,), (request.training.framework,), "training")


def best_of_training(request: TrainingSpeedRequest) -> Callable[[str], float]:
    """The same of a device that computes at its peak all the time: an MFU of 1."""
    found = estimate_training_performance(replace(request, calibration=None))
    share = found.mfu
    return lambda name: figure_of_training(found, name) * (share if name in TIMES else 1 / share)


def figure_of_training(found: TrainingPerformance, name: str) -> float:
    """One figure by the contract's name."""
    return found.step.total if name == "step_ms" else float(getattr(found, name))
