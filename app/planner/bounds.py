"""What a candidate cannot beat, worked out in a few operations: so that most need no estimate.

A profile is one format in one layout, without a device. Its bound on a device leaves out of the speed model
whatever takes more than a product to work out (queues, smooth maxima, experts that more tokens reach), so no
estimate is faster. A candidate that loses to a found option even at its bound is not worked out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from ..hardware import Accelerator
from ..memory.runtimes.base import Deployment
from ..performance.coefficients import Ask, peak_bandwidth, rates_of
from ..performance.operations import totals
from ..performance.requests import PerformanceRequest
from ..performance.roofline import Rates, distinct
from ..performance.setup import MEAN_FILL, stage_layers
from .candidates import LOCAL
from .requests import Layout, Targets

MOST = 2**20
SENT = ("all_reduce", "all_to_all")


@dataclass(frozen=True, slots=True)
class Sums:
    """Of one pass through all stages, on one rank: bytes and FLOPs by the width of weights [bits].

    `experts`: bits, bytes of all of them, how many, those that a token uses, ranks whose tokens meet there.
    `moved` and `sent` for each token, `context` for each sequence; `messages` in a step.
    """

    weights: tuple[tuple[float, float], ...]
    experts: tuple[tuple[float, float, int, int, int], ...]
    flops: tuple[tuple[float, float], ...]
    moved: float
    sent: float
    context: float
    messages: float
    layers: int


@dataclass(frozen=True, slots=True)
class Profile:
    """One format in one layout: bytes of the fullest rank held by weights and by one sequence's cache.

    `most`: sequences that the runtime takes at once on the largest device.
    """

    quantization: str | None
    scheme: str
    deployment: Deployment
    layout: Layout
    weights: int
    cache: int
    sums: Sums
    bits: float
    most: int

    def fits(self, usable: int) -> bool:
        """Whether weights and one sequence leave any room."""
        return self.weights + self.cache < usable


def profile(
    deployment: Deployment, layout: Layout, quantization: str | None, read: int, written: int
) -> Profile:
    """The profile of a deployment for prompts of `read` tokens and answers of `written`."""
    stage = max(deployment.stages, key=deployment.weights)
    length = ceil(read + MEAN_FILL * written)
    parameters = max(1, deployment.stored.architecture.parameters.total)
    held = sum(deployment.weights(s) * s.count for s in deployment.stages) * layout.tensor
    return Profile(
        quantization,
        deployment.stored.scheme.name,
        deployment,
        layout,
        deployment.weights(stage),
        deployment.cache_bytes(stage, 1, length),
        _sums(deployment, read + written / 2),
        8 * held / parameters,
        int(deployment.parameters().get("max_num_seqs") or MOST),
    )


def _sums(deployment: Deployment, context: float) -> Sums:
    d = deployment
    works = [(s.count, w) for s in d.stages for w in totals(d.stored, d.layout, s, d.kv_element)]
    plain = [(n, w) for n, w in works if w.kind not in SENT]
    return Sums(
        _by_bits((w.bits, n * w.weight_bytes) for n, w in plain if not w.experts),
        tuple((w.bits, n * w.weight_bytes, w.experts, w.top_k, w.spread) for n, w in plain if w.experts),
        _by_bits((w.bits, n * w.row_flops) for n, w in plain if not w.logits and w.kind != "scan"),
        sum(n * w.row_bytes for n, w in plain if w.kind == "elementwise"),
        sum(n * w.row_bytes for n, w in works if w.kind == "all_reduce"),
        sum(n * w.cache_bytes * (min(context, w.reach) if w.reach else context) for n, w in plain),
        sum(n * w.messages for n, w in works if w.kind in SENT),
        sum(s.count * stage_layers(s) for s in d.stages),
    )


def _by_bits(amounts: Iterable[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    found: dict[float, float] = {}
    for bits, amount in amounts:
        if amount:
            found[bits] = found.get(bits, 0.0) + amount
    return tuple(found.items())


@dataclass(frozen=True, slots=True)
class Bound:
    """Of one replica: output tokens/s at most, seconds between tokens at least."""

    rate: float
    gap: float


@dataclass(frozen=True, slots=True)
class Least:
    """Least seconds of a step: once for `weights` and what is `fixed`; of each sequence `compute` and `each`;
    of each prompt token `token` beside its `compute`. `experts`: seconds for all of them, how many, those
    that a token uses, ranks whose tokens meet there."""

    weights: float
    experts: tuple[tuple[float, int, int, int], ...]
    fixed: float
    compute: float
    each: float
    token: float


def bound(
    found: Profile, gpu: Accelerator, usable: int, request: PerformanceRequest, targets: Targets
) -> Bound:
    """What a profile on a device cannot beat; raises `InvalidRequest` where the device's speed is unknown."""
    local = found.deployment.backend in LOCAL
    least = _datasheet(found, gpu) if local else _measured(found, gpu, request)
    steps = max(1, request.output_length - 1)
    fresh = request.input_length * (1 - request.prefix_hit_rate)
    room = MOST if not found.cache else max(1, (usable - found.weights) // found.cache)
    room = min(room, found.most)
    kept = 1 + (request.serving.speculative.num_tokens if request.serving.speculative else 0)
    target = gap_asked(targets)
    raw = _bound(least, found.layout.pipeline, fresh / steps, room, None if target is None else target * kept)
    return Bound(raw.rate * kept, raw.gap / kept)


def _measured(found: Profile, gpu: Accelerator, request: PerformanceRequest) -> Least:
    """With the efficiencies of the runtime on the device."""
    serving, sums, depth = request.serving, found.sums, found.layout.pipeline
    ask = Ask(
        found.deployment.backend, found.deployment.request.backend_version, found.deployment.layout,
        found.scheme, bool(serving.enforce_eager), serving.gpus_per_node, request.inter_node_gb_s,
    )  # fmt: skip
    rates: Rates = rates_of(gpu, ask)[0]
    token = (sums.moved * rates.moving / rates.peak_bandwidth + sums.sent / rates.reduce) / depth
    return Least(
        sum(size / rates.bandwidth(bits) for bits, size in sums.weights),
        tuple((size / rates.bandwidth(bits), n, k, r) for bits, size, n, k, r in sums.experts),
        sums.layers * rates.layer + sums.messages * rates.message + rates.step,
        sum(flops / rates.products(bits) for bits, flops in sums.flops) / depth,
        token + sums.context / rates.cache_bandwidth / depth + rates.sequence,
        token,
    )


def _datasheet(found: Profile, gpu: Accelerator) -> Least:
    """With the peaks of the datasheet."""
    bandwidth, depth = peak_bandwidth(gpu), found.layout.pipeline
    peak = max((*gpu.tflops.values(), *gpu.tflops_fp16_accumulate.values())) * 1e12
    compute = sum(flops for _, flops in found.sums.flops) / peak / depth
    weights = sum(size for _, size in found.sums.weights) / bandwidth
    experts = tuple((size / bandwidth, n, k, r) for _, size, n, k, r in found.sums.experts)
    return Least(weights, experts, 0.0, compute, found.sums.context / bandwidth / depth, 0.0)


def _bound(least: Least, depth: int, prompts: float, room: float, target: float | None) -> Bound:
    """A step of b sequences takes at least `fixed` + the larger of reading and computing.

    More sequences never lower the rate, so the most that there can be bound it.
    """
    each = least.each + prompts * (least.compute + least.token)
    alone = least.weights + _reached(least, 1.0)
    batch = float(room)
    if target is not None:
        slack = target - least.fixed
        by_reading = (slack - alone) / each if each else batch
        batch = min(batch, by_reading, slack / (least.compute + each))
    batch = max(batch, 1.0)
    reading = least.weights + _reached(least, max(batch / depth, 1.0))
    step = least.fixed + max(reading + batch * each, batch * (least.compute + each))
    return Bound(batch / step, least.fixed + alone)


def _reached(least: Least, tokens: float) -> float:
    """Seconds for the experts that so many tokens reach."""
    return sum(
        seconds * distinct(count, top_k, tokens * spread) / count
        for seconds, count, top_k, spread in least.experts
    )


def gap_asked(targets: Targets) -> float | None:
    """Seconds between tokens that the mean must keep: percentiles of a request's mean gap are not below it,
    nor are those of single gaps from the ninetieth on."""
    single = None if targets.statistic == "p50" else targets.itl_ms
    asked = [t for t in (targets.tpot_ms, single) if t is not None]
    return min(asked) / 1e3 if asked else None
