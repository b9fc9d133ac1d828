"""Speed of serving: one request in, latencies, throughput, bottleneck, operations, cost and bands out."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import asdict, replace

from ..messages import Message
from .bands import Offered, Regime, known, load_of, ranges
from .breakdown import operations, tally
from .cost import per_million
from .estimate import Flow, Performance, Quantiles
from .requests import PerformanceRequest
from .setup import Setup, not_yet, set_up
from .static import together

HIGH_LOAD = 0.9


def estimate_performance(request: PerformanceRequest) -> Performance:
    """The answer of `POST /api/performance/inference`.

    Raises `DomainError`: `InvalidLayout`, `InvalidRequest`, and `NotSupportedYet` for what is documented
    and not computed.
    """
    setup = set_up(request)
    flow = flow_of(setup, request)
    return _answer(setup, flow)


def flow_of(setup: Setup, request: PerformanceRequest) -> Flow:
    """What the load does: a batch that starts together, a stream, or a closed loop.

    Each way is imported when first asked for: a command line asks for one.
    """
    if request.request_rate is None and request.concurrency is None:
        return together(setup)
    if request.disaggregated:
        if request.request_rate is None or request.mode == "simulate":
            raise not_yet("disaggregated", "field_not_computed")
        from .disaggregated import disaggregated

        return disaggregated(setup, request.request_rate)
    if request.mode == "simulate":
        from .simulate import simulate

        return simulate(setup)
    from .load import closed, poisson

    if request.request_rate is not None:
        return poisson(setup, request.request_rate)
    return closed(setup, request.concurrency or 1)


def _answer(setup: Setup, flow: Flow) -> Performance:
    request = setup.request
    figures = figures_of(flow, request)
    held = max(flow.in_flight, 1.0)
    used = tally(setup, held)
    price = price_of(request)
    tokens = figures["throughput_tokens_per_sec"]
    return Performance(
        figures=figures,
        percentiles=in_milliseconds(flow),
        saturation=flow.saturation,
        bottleneck=used.bottleneck,
        time_shares=used.shares,
        utilization=_utilization(setup, flow, used.compute_limit, used.bytes, held),
        operations=operations(setup, held, request.top_ops),
        ranges=ranges(figures, _regime(setup), _offered(setup, flow)),
        cost_per_million_tokens=per_million(price, setup.gpus, tokens),
        cost_per_million_output_tokens=per_million(price, setup.gpus, figures["output_tokens_per_sec"]),
        memory=replace(setup.memory, warnings=setup.memory_warnings),
        tpot_definition=request.tpot_definition,
        warnings=(*setup.warnings, *_warnings(setup, flow)),
        parameters=_parameters(setup, price),
        extra={
            "in_flight": round(flow.in_flight * setup.replicas, 3),
            "max_in_flight": setup.room * setup.replicas if setup.fits else 0,
            "max_requests_per_sec": flow.sustainable,
        },
    )


def _regime(setup: Setup) -> Regime:
    """What bands are told apart by."""
    request = setup.request
    batch = request.request_rate is None and request.concurrency is None
    return Regime(load_of(batch, request.concurrency), _kind(setup), known(setup.basis))


def _kind(setup: Setup) -> str:
    """The kind of model and runtime that bands know."""
    if setup.shape is not None:
        return "llama.cpp"
    return "experts" if any(work.experts for s in setup.engine.stages for work in s.works) else "dense"


def _offered(setup: Setup, flow: Flow) -> Offered | None:
    """The rate that comes, where one does, and what can be sustained."""
    rate = setup.request.request_rate
    return None if rate is None or flow.sustainable is None else Offered(rate, flow.sustainable)


def figures_of(flow: Flow, request: PerformanceRequest) -> dict[str, float]:
    """By the contract's names."""
    out, rate = request.output_length, flow.requests_per_s
    return {
        "ttft_ms": 1e3 * flow.ttft,
        "tpot_ms": 1e3 * (flow.tpot if request.tpot_definition == "after_first" else flow.e2e / out),
        "itl_ms": 1e3 * flow.itl,
        "e2e_latency_ms": 1e3 * flow.e2e,
        "throughput_tokens_per_sec": rate * (request.input_length + out),
        "output_tokens_per_sec": rate * out,
        "requests_per_sec": rate,
    }


def in_milliseconds(flow: Flow) -> Mapping[str, Mapping[str, float]] | None:
    """Percentiles by the contract's names; None where a load has none."""
    if not flow.percentiles:
        return None
    return {name: _in_ms(found) for name, found in flow.percentiles.items()}


def _in_ms(found: Quantiles) -> dict[str, float]:
    return {"p50": 1e3 * found.p50, "p90": 1e3 * found.p90, "p99": 1e3 * found.p99}


def _utilization(setup: Setup, flow: Flow, compute: float, size: float, held: float) -> dict[str, float]:
    """Shares of the datasheet's peaks over time, and of the card's memory."""
    runs = flow.requests_per_s / setup.replicas / held  # of a whole place's sequences, each second
    depth = setup.engine.depth
    bandwidth = setup.engine.rates.peak_bandwidth
    fit = setup.memory.fit
    return {
        "compute": runs * compute / depth,
        "memory_bandwidth": runs * size / bandwidth / depth,
        "memory_capacity": 0.0 if fit is None else fit.utilization,
    }


def price_of(request: PerformanceRequest) -> float | None:
    """Of one GPU by the hour: the request's own, else the accelerator's."""
    if request.price_per_hour is not None:
        return request.price_per_hour
    gpu = request.serving.gpu
    return None if gpu is None else gpu.price_per_hour


def _parameters(setup: Setup, price: float | None) -> dict[str, Any]:
    """What was resolved: the runtime's settings, the rows that apply, the price and its date."""
    request, basis = setup.request, setup.basis
    gpu = request.serving.gpu
    dated = gpu.cloud_price.date if gpu and gpu.cloud_price and request.price_per_hour is None else None
    speculative = request.serving.speculative
    return {
        **setup.deployment.parameters(),
        **({"backend_version": v} if (v := request.serving.backend_version) else {}),
        "input_length": request.input_length,
        "output_length": request.output_length,
        "price_per_hour": price,
        "price_date": dated,
        "num_gpus": setup.gpus,
        "coefficients": {
            "device": basis.device,
            "runtime": basis.runtime,
            "date": basis.date,
            **({"calibration": _calibrated(request)} if request.calibration else {}),
        },
        **({"tokens_per_step": round(setup.engine.accepted, 3)} if speculative else {}),
    }


def _calibrated(request: PerformanceRequest) -> dict[str, Any]:
    """The calibration's name, and the factors of it that count here."""
    calibration, gpu = request.calibration, request.serving.gpu
    if calibration is None or gpu is None:
        return {}
    return {"name": calibration.name, **asdict(calibration.on(gpu.name, request.serving.backend))}


def _warnings(setup: Setup, flow: Flow) -> list[Message]:
    found = []
    if not setup.fits:
        found.append(Message("speed_does_not_fit"))
    elif flow.waiting and flow.saturation is None:
        found.append(Message("speed_in_waves", {"batch": setup.batch, "room": setup.room}))
    load = flow.saturation
    if setup.request.request_rate is not None and load is not None and load > HIGH_LOAD:
        code = "speed_overloaded" if load >= 1 else "speed_near_saturation"
        found.append(Message(code, {"load": f"{load:.2f}"}))
    if setup.request.serving.speculative is not None and setup.request.acceptance_rate is None:
        found.append(Message("speed_acceptance_assumed"))
    return found
