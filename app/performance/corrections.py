"""Corrections put into rates, coefficients and links; none lifts a rate over the datasheet's."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from ..hardware import Accelerator
from .calibration import NONE, Calibration, Factors
from .roofline import Rates

if TYPE_CHECKING:  # training's files are read where training is asked about
    from .training_coefficients import Coefficients
    from .training_terms import Links

SHORTEST_START: Final = 5e-3  # seconds of a request that a factor of two adds, where none are known
LINK_MOST: Final = 1.15  # times the fitted share of a link: its datasheet's whole rate
_BANDWIDTHS: Final = ("bandwidth16", "bandwidth8", "bandwidth4", "cache_bandwidth")
_SHARES: Final = ("linear", "attention", "scan")  # of the peak, in training


def corrected(rates: Rates, factors: Factors) -> Rates:
    """The rates of an engine with these factors, none over the datasheet's peaks."""
    if factors == NONE:
        return rates
    size, speed, slow = factors.memory_bandwidth, factors.compute, factors.step_overhead
    linked = min(factors.network, LINK_MOST)
    start = rates.start + (factors.request_overhead - 1) * max(rates.start, SHORTEST_START)
    wide = max(rates.peak_flops, rates.flops)
    narrow = max(rates.peak_narrow, rates.narrow_flops)
    reached = {name: min(getattr(rates, name) * size, rates.peak_bandwidth) for name in _BANDWIDTHS}
    return replace(
        rates,
        **reached,
        flops=min(rates.flops * speed, wide),
        narrow_flops=min(rates.narrow_flops * speed, narrow),
        attention_flops=min(rates.attention_flops * speed, wide),
        layer=rates.layer * slow,
        step=rates.step * slow,
        sequence=rates.sequence * factors.token_overhead,
        stream=rates.stream * factors.token_overhead,
        start=max(0.0, start),
        message=rates.message / factors.network,
        link=rates.link * linked,
        reduce=rates.reduce * linked,
    )


def rates_on(rates: Rates, calibration: Calibration | None, gpu: Accelerator, backend: str) -> Rates:
    """The same on one device under one runtime; as they were without a calibration."""
    return rates if calibration is None else corrected(rates, calibration.on(gpu.name, backend))


def corrected_training(c: "Coefficients", factors: Factors) -> "Coefficients":
    """The coefficients of a training step with these factors; shares of a peak stay at or below 1."""
    if factors == NONE:
        return c
    shares: Mapping[str, float] = {name: min(1.0, getattr(c, name) * factors.compute) for name in _SHARES}
    slow = factors.step_overhead
    return replace(
        c,
        **shares,
        fusion=c.fusion / factors.memory_bandwidth,
        permuted=c.permuted / factors.memory_bandwidth,
        optimizer=max(1.0, c.optimizer / factors.memory_bandwidth),
        layer=c.layer * slow,
        expert_layer=c.expert_layer * slow,
        step=c.step * slow,
    )


def corrected_links(links: "Links", factors: Factors) -> "Links":
    """The links of a training run with these factors."""
    if factors.network == 1:
        return links
    names = ("tensor", "context", "expert", "data", "network")
    linked = min(factors.network, LINK_MOST)
    return replace(links, **{name: getattr(links, name) * linked for name in names})
