"""What a candidate cannot beat, worked out in a few operations: so that most need no estimate.

A profile is one format in one layout, without a device. Its bound on a device leaves out of the speed model
whatever takes more than a product to work out (queues, smooth maxima, experts that more tokens reach), so no
estimate is faster. A candidate that loses to a found option even at its bound is not worked out.
"""

from collections.abc import Iterable
from math import ceil, inf

from msgspec import Struct

from ..hardware import Accelerator
from ..memory.runtimes.base import Deployment
from ..performance.coefficients import Ask, peak_bandwidth, rates_of
from ..performance.corrections import rates_on
from ..performance.operations import totals
from ..performance.requests import PerformanceRequest
from ..performance.roofline import Rates, distinct
from ..performance.setup import MEAN_FILL, stage_layers
from .candidates import LOCAL
from .requests import Layout, Targets

MOST = 2**20
SLACK = 1.02  # queues take a prompt's time between two that are worked out
SENT = ("all_reduce", "all_to_all")


class Sums(Struct, frozen=True):
    """Of one pass through all stages, on one rank: bytes and FLOPs by the width of weights [bits].

    `experts`: bits, bytes of all of them, how many, those that a token uses, ranks whose tokens meet there.
    `moved`, `summed` and `routed` bytes are of each token, `context` and `repeated` of each sequence;
    `serial`: cached tokens times layers, `messages` in a step; `budget` of tokens in one.
    """

    weights: tuple[tuple[float, float], ...]
    experts: tuple[tuple[float, float, int, int, int], ...]
    flops: tuple[tuple[float, float], ...]
    expert_flops: tuple[tuple[float, float], ...]
    moved: float
    summed: float
    routed: float
    context: float
    repeated: float
    serial: float
    messages: float
    layers: int
    budget: int


class Profile(Struct, frozen=True):
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
    dense = [(n, w) for n, w in plain if not w.experts and not w.logits and w.kind != "scan"]
    seen = [(n * (min(context, w.reach) if w.reach else context), w) for n, w in plain]
    budget = d.parameters().get("max_num_batched_tokens")
    return Sums(
        _by_bits((w.bits, n * w.weight_bytes) for n, w in plain if not w.experts),
        tuple((w.bits, n * w.weight_bytes, w.experts, w.top_k, w.spread) for n, w in plain if w.experts),
        _by_bits((w.bits, n * w.row_flops) for n, w in dense),
        _by_bits((w.bits, n * w.row_flops * w.spread) for n, w in plain if w.experts),
        sum(n * w.row_bytes for n, w in plain if w.kind == "elementwise"),
        sum(n * w.row_bytes for n, w in works if w.kind == "all_reduce"),
        sum(n * w.row_bytes for n, w in works if w.kind == "all_to_all"),
        sum(tokens * w.cache_bytes for tokens, w in seen),
        sum(tokens * max(0.0, w.repeated_bytes - w.cache_bytes) for tokens, w in seen),
        sum(tokens * w.count for tokens, w in seen if w.cache_bytes),
        sum(n * w.messages for n, w in works if w.kind in SENT),
        sum(s.count * stage_layers(s) for s in d.stages),
        budget if isinstance(budget, int) else MOST,
    )


def _by_bits(amounts: Iterable[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    found: dict[float, float] = {}
    for bits, amount in amounts:
        if amount:
            found[bits] = found.get(bits, 0.0) + amount
    return tuple(found.items())


class Bound(Struct, frozen=True):
    """Of one replica: output tokens/s at most, seconds between tokens and to the first at least.

    `shared`: output tokens/s at most with no more requests in flight than the load has.
    """

    rate: float
    gap: float
    first: float
    shared: float


class Least(Struct, frozen=True):
    """Least seconds of a step: once for `weights` and what is `fixed`; of each sequence `compute` and `each`;
    of each prompt token `token` beside its `compute`. `experts`: seconds for all of them, how many, those
    that a token uses, ranks whose tokens meet there."""

    weights: float
    experts: tuple[tuple[float, int, int, int], ...]
    fixed: float
    compute: float
    each: float
    token: float


Reached = dict[tuple[object, ...], Rates]


def bound(
    found: Profile,
    gpu: Accelerator,
    usable: int,
    request: PerformanceRequest,
    targets: Targets,
    known: Reached,
) -> Bound:
    """What a profile on a device cannot beat; raises `InvalidRequest` where the device's speed is unknown.

    `known`: rates that this device reaches in formats and layouts, filled as they are asked for.
    """
    local = found.deployment.backend in LOCAL
    least = _datasheet(found, gpu) if local else _measured(found, _rates(found, gpu, request, known))
    load = Load(
        max(1, request.output_length - 1),
        request.input_length * (1 - request.prefix_hit_rate),
        found.layout.pipeline,
    )
    room = MOST if not found.cache else max(1, (usable - found.weights) // found.cache)
    room = min(room, found.most)
    kept = 1 + (request.serving.speculative.num_tokens if request.serving.speculative else 0)
    target = gap_asked(targets)
    goal = None if target is None else target * kept
    raw = _bound(least, load, room, goal)
    shared, asked = raw.rate, request.concurrency
    if asked is not None and asked < room:
        shared = _bound(least, load, asked, goal).rate
    most = kept * SLACK
    return Bound(raw.rate * most, raw.gap / kept / SLACK, raw.first / SLACK, shared * most)


def _rates(found: Profile, gpu: Accelerator, request: PerformanceRequest, known: Reached) -> Rates:
    """The efficiencies of the runtime on the device; pipeline stages and replicas change none."""
    placed, serving = found.deployment, request.serving
    layout, version = placed.layout, placed.request.backend_version
    key = (placed.backend, version, found.scheme, layout.tensor, layout.expert_ranks)
    rates = known.get(key)
    if rates is None:
        ask = Ask(
            placed.backend, version, layout, found.scheme, bool(serving.enforce_eager), serving.gpus_per_node,
            request.inter_node_gb_s,
        )  # fmt: skip
        known[key] = rates = rates_on(rates_of(gpu, ask)[0], request.calibration, gpu, placed.backend)
    return rates


def _measured(found: Profile, rates: Rates) -> Least:
    """With what the runtime reaches on the device."""
    sums, depth = found.sums, found.layout.pipeline
    sent = sums.summed / rates.reduce + sums.routed / rates.link
    token = (sums.moved * rates.moving / rates.peak_bandwidth + sent) / depth
    cached = (sums.context + sums.repeated * rates.repeated) / rates.cache_bandwidth / depth
    compute = sum(flops / rates.products(bits) for bits, flops in sums.flops)
    mixed = sum(flops / (rates.products(bits) * rates.experts) for bits, flops in sums.expert_flops)
    fixed = sums.layers * rates.layer + sums.messages * rates.message + sums.serial * rates.serial
    return Least(
        sum(size / rates.bandwidth(bits) for bits, size in sums.weights),
        tuple((size / rates.bandwidth(bits), n, k, r) for bits, size, n, k, r in sums.experts),
        fixed + rates.step,
        (compute + mixed) / depth,
        token + cached + rates.sequence,
        token + rates.chunk / sums.budget,
    )


def _datasheet(found: Profile, gpu: Accelerator) -> Least:
    """With the peaks of the datasheet."""
    bandwidth, depth = peak_bandwidth(gpu), found.layout.pipeline
    peak = max((*gpu.tflops.values(), *gpu.tflops_fp16_accumulate.values())) * 1e12
    products = (*found.sums.flops, *found.sums.expert_flops)
    compute = sum(flops for _, flops in products) / peak / depth
    weights = sum(size for _, size in found.sums.weights) / bandwidth
    experts = tuple((size / bandwidth, n, k, r) for _, size, n, k, r in found.sums.experts)
    return Least(weights, experts, 0.0, compute, found.sums.context / bandwidth / depth, 0.0)


class Load(Struct, frozen=True):
    """Steps after a first token, tokens of a prompt that are computed, pipeline stages."""

    steps: int
    prompt: float
    depth: int


def _bound(least: Least, load: Load, room: float, target: float | None) -> Bound:
    """A step of b sequences reads k = b / steps prompts and takes at least its sequences' own times and

        max(m, a + k p, (1 - k) m + k (a + p))        as long as k <= 1

    with m for weights, a for the sequences' products and p for a prompt's: of a step with prompts and one
    without, each takes the larger of m and its products. More sequences never lower the rate, so the most
    that there can be bound it.
    """
    each = least.each + load.prompt / load.steps * least.token
    prompt = load.prompt * least.compute
    alone = least.weights + _reached(least, 1.0)
    batch = float(room)
    if target is not None:
        batch = min(
            batch, _most(least, load, each, prompt, target - least.fixed - alone, target - least.fixed)
        )
    batch = max(batch, 1.0)
    reading = least.weights + _reached(least, max(batch / load.depth, 1.0))
    share = batch / load.steps
    busy = max(reading, batch * least.compute + min(share, 1.0) * prompt)
    if share <= 1:
        busy = max(busy, (1 - share) * reading + share * (batch * least.compute + prompt))
    else:
        busy = max(reading, batch * least.compute + share * prompt - (share - 1) * reading)
    first = least.fixed + max(alone, prompt) + load.prompt * least.token
    rate = batch / (least.fixed + batch * each + busy)
    return Bound(rate, least.fixed + alone, first, rate)


def _most(least: Least, load: Load, each: float, prompt: float, after: float, slack: float) -> float:
    """Sequences at most: `slack` seconds beside what is fixed, `after` what one sequence's weights take."""
    most = after / each if each else inf
    if most > load.steps:
        return most
    mixed = each + (prompt - (slack - after)) / load.steps
    by_mixing = after / mixed if mixed > 0 else inf
    return min(most, by_mixing, slack / (least.compute + each + prompt / load.steps))


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
