"""Search for serving: every device, count, layout and format; bounds first, estimates for what is left."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from math import ceil
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ..budget import turn
from ..errors import DomainError
from ..hardware import Accelerator
from ..memory.inference import estimate_inference
from ..memory.requests import InferenceRequest
from ..memory.runtimes import deploy
from ..messages import Message
from .bounds import Bound, Profile, Reached, bound, gap_asked, profile
from .candidates import backend_for, formats, layouts, takes, within
from .loads import Held, hold, missed
from .ranking import Ranking
from .requests import Layout, Option, Plan, PlanRequest, Rejection

WIDE: Final = ("bf16", "fp16", "fp32")
_ROOM_FOR_ALL = 2**62


class Candidate(Struct, frozen=True):
    """A profile on a device, with what it cannot beat."""

    gpu: Accelerator
    backend: str
    profile: Profile
    usable: int
    bound: Bound
    price: float | None

    @property
    def promise(self) -> float:
        """Output tokens/s of one GPU at most: the best are worked out first."""
        return self.bound.rate / self.profile.layout.replica


def plan(request: PlanRequest, most: int | None = None) -> Plan:
    """Options for serving, best first; raises `DomainError` where the question itself is wrong.

    `most`: candidates that may be worked out until one is found, where any option will do.
    """
    ranking = Ranking(request.limits.options)
    reasons: dict[str, Message] = {}
    looked = worked = 0
    for candidate in sorted(_candidates(request, reasons), key=lambda c: (c.price is None, -c.promise)):
        turn()
        looked += 1
        name = candidate.gpu.name
        if (reason := hopeless(candidate, request)) is not None:
            reasons.setdefault(name, reason)
            continue
        if ranking.beats(_at_best(candidate, request)):
            reasons[name] = Message("plan_beaten")
            continue
        if most is not None and (worked >= most or ranking.every()):
            break
        worked += 1
        found = work_out(candidate, request)
        if isinstance(found, Message):
            if reasons.get(name) != Message("plan_beaten"):
                reasons[name] = found
        else:
            ranking.add(found)
    options = tuple(finish(option, request) for option in ranking.best())
    names = {option.gpu.name for option in options}
    kept = {option.gpu.name for option in ranking.every()}
    rejected = tuple(
        Rejection(gpu.name, Message("plan_beaten") if gpu.name in kept else reasons[gpu.name])
        for gpu in request.limits.gpus
        if gpu.name not in names and (gpu.name in reasons or gpu.name in kept)
    )
    return Plan(options, rejected, None, looked, worked)


def _candidates(request: PlanRequest, reasons: dict[str, Message]) -> Iterator[Candidate]:
    """What has room, by weights and one sequence; what has none leaves its reason."""
    profiles: dict[str, tuple[tuple[Profile, ...], ...]] = {}
    for gpu in request.limits.gpus:
        backend = backend_for(gpu, request.limits.backend)
        if backend is None:
            reasons[gpu.name] = Message("plan_no_backend", {"backend": request.limits.backend or "vllm"})
        elif not known(gpu):
            reasons[gpu.name] = Message("plan_no_figures", {"gpu": gpu.name})
        else:
            if backend not in profiles:
                profiles[backend] = profiles_of(request, backend)
            yield from _of_device(gpu, backend, profiles[backend], request, reasons)


def known(gpu: Accelerator) -> bool:
    """Whether memory, bandwidth and a rate of 16 bits or more are known."""
    sized = gpu.memory_mib_usable is not None or gpu.memory_gb is not None
    return sized and bool(gpu.memory_bandwidth_gb_s) and any(gpu.peak_tflops(name) for name in WIDE)


def _of_device(
    gpu: Accelerator, backend: str, groups: tuple[tuple[Profile, ...], ...], request: PlanRequest,
    reasons: dict[str, Message],
) -> Iterator[Candidate]:  # fmt: skip
    usable, price = gpu.memory_bytes_usable, request.money.per_hour(gpu)
    per_node = request.ask.serving.gpus_per_node
    least, rates = _ROOM_FOR_ALL, Reached()
    for group in groups:
        known = [p for p in group if takes(gpu, p.quantization) and within(gpu, p.layout, per_node)]
        roomy = [p for p in known if p.fits(usable)]
        least = min([least, *(p.weights + p.cache for p in known)])
        for found in roomy:
            whole = None if price is None else price * found.layout.replica
            least_time = bound(found, gpu, usable, request.ask, request.targets, rates)
            yield Candidate(gpu, backend, found, usable, least_time, whole)
        if roomy:
            return
    if least == _ROOM_FOR_ALL:
        reasons[gpu.name] = Message("plan_no_layout", {"gpu": gpu.name})
    else:
        reasons[gpu.name] = Message("plan_no_room", {"least": least, "usable": usable})


def profiles_of(request: PlanRequest, backend: str) -> tuple[tuple[Profile, ...], ...]:
    """Every format in every layout on one runtime, in the order in which formats are tried."""
    serving, limits = request.ask.serving, request.limits
    architecture = serving.model.architecture
    found = []
    for group in formats(architecture, backend, limits, serving.model.quantization):
        made = []
        for layout in layouts(architecture, limits.max_gpus, backend, limits):
            turn()
            for quantization in group:
                asked = placed(serving, backend, layout, quantization)
                if one := _profile(_Key(asked, layout, request.ask.input_length, request.ask.output_length)):
                    made.append(one)
        found.append(tuple(made))
    return tuple(found)


class _Key:
    """What a profile depends on, compared by what is searched, so that profiles are kept between requests."""

    __slots__ = ("_key", "layout", "read", "serving", "written")

    def __init__(self, serving: InferenceRequest, layout: Layout, read: int, written: int) -> None:
        self.serving, self.layout, self.read, self.written = serving, layout, read, written
        named = {name: getattr(serving, name) for name in serving.__struct_fields__ if name != "gpu"}
        self._key = (tuple(named.values()), layout, read, written)

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self._key == other._key


@lru_cache(maxsize=4096)
def _profile(key: _Key) -> Profile | None:
    try:
        deployment = deploy(key.serving)
        return profile(deployment, key.layout, key.serving.model.quantization, key.read, key.written)
    except DomainError:
        return None


def placed(
    serving: InferenceRequest, backend: str, layout: Layout, quantization: str | None,
    gpu: Accelerator | None = None,
) -> InferenceRequest:  # fmt: skip
    """The request on a device in a layout and a format."""
    return replace(
        serving,
        model=replace(serving.model, quantization=quantization),
        backend=backend,
        backend_version=serving.backend_version if backend == serving.backend else None,
        tensor_parallel=layout.tensor,
        pipeline_parallel=layout.pipeline,
        data_parallel=layout.data,
        expert_parallel=layout.expert,
        gpu=gpu,
    )


def replicas_at_least(candidate: Candidate, request: PlanRequest) -> int:
    """Replicas without which a rate cannot be held."""
    rate = request.targets.requests_per_sec or request.ask.request_rate
    if rate is None:
        return request.limits.data_parallel or 1
    return max(1, ceil(rate * request.ask.output_length / candidate.bound.rate))


def hopeless(candidate: Candidate, request: PlanRequest) -> Message | None:
    """Why no load can bring the candidate within latency, price and count; None where one may."""
    targets, gap = request.targets, 1e3 * candidate.bound.gap
    replicas = replicas_at_least(candidate, request)
    target = gap_asked(targets)
    if target is not None and gap > 1e3 * target:
        return missed("tpot_ms", f"{gap:.1f}", 1e3 * target)
    first = 1e3 * candidate.bound.first
    whole = first + gap * (request.ask.output_length - 1)
    for name, least in (("ttft_ms", first), ("e2e_latency_ms", whole)):
        asked = getattr(targets, name)
        if asked is not None and least > asked:
            return missed(name, f"{least:.1f}", asked)
    most = request.limits.max_gpus // candidate.profile.layout.replica
    if replicas > most:
        return Message("plan_too_slow", {"replicas": replicas, "most": most})
    ceiling = targets.max_price_per_hour
    if ceiling is not None and candidate.price is not None and candidate.price * replicas > ceiling:
        return too_dear(candidate.price * replicas, ceiling)
    wanted, reached = targets.output_tokens_per_sec, candidate.bound.rate * replicas
    if wanted is not None and reached < wanted:
        return missed("output_tokens_per_sec", f"{reached:.0f}", wanted)
    return None


def too_dear(price: float, ceiling: float) -> Message:
    """A price that is over the ceiling."""
    return Message("plan_too_dear", {"price": f"{price:.2f}", "ceiling": f"{ceiling:.2f}"})


def _at_best(candidate: Candidate, request: PlanRequest) -> Option:
    """The option that the candidate would be if it reached its bounds."""
    rate, layout = candidate.bound.rate, candidate.profile.layout
    replicas = replicas_at_least(candidate, request)
    speed, efficiency = rate * replicas, rate / layout.replica
    if loaded(request):
        speed = 1 / (candidate.bound.gap * request.ask.output_length)
        if request.ask.concurrency is not None:  # so many answers in the time of one
            alone = candidate.bound.first + candidate.bound.gap * (request.ask.output_length - 1)
            speed = 1 / alone
            most = request.ask.concurrency * request.ask.output_length / alone
            efficiency = min(candidate.bound.shared, most) / layout.replica
        asked = request.targets.requests_per_sec or request.ask.request_rate
        if asked is not None:
            efficiency = asked * request.ask.output_length / (layout.replica * replicas)
    price = None if candidate.price is None else candidate.price * replicas
    return Option(
        candidate.gpu, layout, candidate.backend, None, candidate.profile.quantization, 0, {}, 0, 0, speed,
        efficiency, candidate.profile.bits, price, None,
    )  # fmt: skip


def loaded(request: PlanRequest) -> bool:
    """Whether the load is given, so that options differ in latency and not in what they answer."""
    rate = request.targets.requests_per_sec or request.ask.request_rate
    return rate is not None or request.ask.concurrency is not None


def work_out(candidate: Candidate, request: PlanRequest) -> Option | Message:
    """The option that a candidate is under the load, or why it is none."""
    found = candidate.profile
    serving = placed(request.ask.serving, candidate.backend, found.layout, found.quantization, candidate.gpu)
    try:
        deployment = deploy(serving)
        if deployment.slack(1, serving.sequence_length) < 0:
            return Message("plan_no_fit")
        held = hold(replace(request.ask, serving=serving), request.targets, request.limits, deployment)
    except DomainError as error:
        return error.message
    if isinstance(held, Message):
        return held
    return _option(candidate, serving, held, request)


def _option(
    candidate: Candidate, serving: InferenceRequest, held: Held, request: PlanRequest
) -> Option | Message:
    layout = replace(candidate.profile.layout, data=held.replicas)
    price = request.money.per_hour(candidate.gpu)
    whole = None if price is None else price * layout.gpus
    ceiling = request.targets.max_price_per_hour
    if ceiling is not None and whole is not None and whole > ceiling:
        return too_dear(whole, ceiling)
    rate = held.figures["throughput_tokens_per_sec"] or 0.0
    written = held.figures["output_tokens_per_sec"] or 0.0
    speed = 1e3 / (held.figures["e2e_latency_ms"] or 1.0) if loaded(request) else written
    return Option(
        candidate.gpu,
        layout,
        candidate.backend,
        serving.model.precision,
        candidate.profile.quantization,
        held.batch,
        held.figures,
        0,
        candidate.usable,
        speed,
        written / layout.gpus,
        candidate.profile.bits,
        whole,
        None if whole is None or not rate else whole / (3600 * rate) * 1e6,
        held.settings,
    )


def finish(option: Option, request: PlanRequest) -> Option:
    """The option with the memory of its own batch, of what the runtime lets itself use."""
    serving = placed(request.ask.serving, option.backend, option.layout, option.quantization, option.gpu)
    memory = estimate_inference(replace(serving, batch_size=option.batch))
    fit = memory.fit
    need = memory.total if fit is None else fit.budget_bytes - fit.free_bytes
    usable = option.usable if fit is None else min(fit.budget_bytes, fit.usable_bytes)
    return replace(
        option, need=need, usable=usable, precision=option.precision or _compute(memory.parameters)
    )


def _compute(parameters: Mapping[str, object]) -> str | None:
    found = parameters.get("precision")
    return found if isinstance(found, str) else None
