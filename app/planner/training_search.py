"""Search for training: every device, count and layout, with and without recomputation, the largest
micro-batch that fits. Experts are spread over ranks too, and long sequences cut, by frameworks that can."""

from collections.abc import Iterator
from functools import lru_cache
from math import gcd
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ..budget import turn
from ..errors import DomainError
from ..hardware import Accelerator
from ..memory.requests import TrainingRequest
from ..memory.training.device import communicators, gaps_of, usual
from ..memory.training.setup import Question, Setup, set_up
from ..memory.training.solve import tensors
from ..messages import Message
from ..parallelism import expert_counts, tensor_sizes
from ..performance.training import estimate_training_performance
from ..performance.training_requests import TrainingPerformance
from .ranking import Ranking
from .requests import COUNTS, Layout, Option, Plan, Rejection, TrainingPlanRequest
from .search import known

BATCHES: Final = (1, 2, 4, 8, 16, 32, 64)
TRAINED: Final = ("gpu", "npu", "tpu")  # device types that training frameworks run on
TENSOR: Final = (1, 2, 4, 8)
STAGES: Final = (1, 2, 4)
CONTEXT: Final = (2, 4, 8)
SHARE: Final = 16384  # tokens that a share of a cut sequence has at least: fewer leave too little work
# Frameworks that cut matrices and layers over GPUs; the others only shard replicas.
CUTTING: Final = ("megatron", "torchtitan", "deepspeed")
ADAPTED: Final = ("lora", "qlora", "dora")
BITS: Final = 16.0


class Way(Struct, frozen=True):
    """One layout with or without recomputation, and the bytes of tensors for each micro-batch; what the
    device adds goes by communicators and gaps [percent]."""

    layout: Layout
    training: TrainingRequest
    needs: tuple[int, ...]
    groups: int
    gaps: int


def plan_training(request: TrainingPlanRequest) -> Plan:
    """Options for training, best first; raises `DomainError` where the question itself is wrong."""
    ranking = Ranking(request.limits.options)
    reasons: dict[str, Message] = {}
    looked = worked = 0
    ways = tuple(_ways(request))
    for gpu in request.limits.gpus:
        for found in _of_device(gpu, ways, request):
            turn()
            looked += 1
            if isinstance(found, Message):
                reasons.setdefault(gpu.name, found)
                continue
            worked += 1
            ranking.add(found)
    options = tuple(ranking.best())
    named = {option.gpu.name for option in options}
    kept = {option.gpu.name for option in ranking.every()}
    rejected = tuple(
        Rejection(gpu.name, reasons.get(gpu.name, Message("plan_beaten")))
        for gpu in request.limits.gpus
        if gpu.name not in named
    )
    rejected = tuple(replace(r, reason=Message("plan_beaten")) if r.gpu in kept else r for r in rejected)
    return Plan(options, rejected, None, looked, worked)


def _ways(request: TrainingPlanRequest) -> Iterator[Way]:
    """Layouts that the model takes, the fewest GPUs first, set up once for all devices."""
    training, limits = request.ask.training, request.limits
    sizes = tensor_sizes(training.model.architecture)
    for count in COUNTS:
        if count > limits.max_gpus:
            break
        for tensor in TENSOR:
            for stages in STAGES:
                if tensor not in sizes or count % (tensor * stages) or not _kept(request, tensor, stages):
                    continue
                for layout in _spread(request, tensor, stages, count // (tensor * stages)):
                    if limits.data_parallel in (None, layout.data):
                        yield from _recomputing(request, layout)


def _spread(request: TrainingPlanRequest, tensor: int, stages: int, rest: int) -> Iterator[Layout]:
    """What the other GPUs do: hold replicas; with one stage cut long sequences; with whole matrices hold
    experts, spread over a machine at most."""
    yield Layout(tensor, stages, rest)
    training = request.ask.training
    if training.framework not in CUTTING:
        return
    for context in CONTEXT if stages == 1 else ():
        if training.sequence_length >= context * SHARE and rest % context == 0:
            yield Layout(tensor, stages, rest // context, 1, context)
    experts = min(expert_counts(training.model.architecture), default=1) if tensor == 1 else 1
    ranks = gcd(gcd(experts, rest), training.gpus_per_node)
    if ranks > 1:
        yield Layout(tensor, stages, rest, ranks)


def _kept(request: TrainingPlanRequest, tensor: int, stages: int) -> bool:
    limits, cutting = request.limits, request.ask.training.framework in CUTTING
    return all(
        size == asked if asked is not None else cutting or size == 1
        for size, asked in ((tensor, limits.tensor_parallel), (stages, limits.pipeline_parallel))
    )


def _recomputing(request: TrainingPlanRequest, layout: Layout) -> Iterator[Way]:
    training = request.ask.training
    choices = ("none", "full") if not request.keep_checkpointing else (training.gradient_checkpointing,)
    for checkpointing in choices:
        turn()
        placed = _placed(training, layout, checkpointing)
        try:
            setup = set_up(Question(placed))
        except DomainError:
            continue
        needs, gaps = _needs(setup, placed, request), gaps_of(placed)[1]
        yield Way(layout, placed, needs, communicators(placed), gaps)


def _placed(training: TrainingRequest, layout: Layout, checkpointing: str) -> TrainingRequest:
    """The request in a layout; several replicas are sharded, unless the request says how."""
    plain = training.fsdp == "none" and training.zero_stage == 0
    sharded = plain and layout.data * layout.context > 1 and training.method not in ADAPTED
    return replace(
        training,
        tensor_parallel=layout.tensor,
        pipeline_parallel=layout.pipeline,
        data_parallel=layout.data,
        expert_parallel=layout.expert,
        context_parallel=layout.context,
        gradient_checkpointing=checkpointing,
        fsdp="fsdp2" if sharded else training.fsdp,
        gpu=None,
    )


def _needs(setup: Setup, training: TrainingRequest, request: TrainingPlanRequest) -> tuple[int, ...]:
    """Bytes of tensors at the peak for each micro-batch that may be taken."""
    sizes = (training.batch_size,) if request.keep_batch else BATCHES
    key = Question(training)
    return tuple(_peak(key, setup, size) for size in sizes)


def _peak(key: Question, setup: Setup, size: int) -> int:
    return _kept_peak(key, size, key.request.sequence_length, setup)


@lru_cache(maxsize=8192)
def _kept_peak(key: Question, size: int, _length: int, setup: Setup) -> int:
    return tensors(setup, replace(key.request, batch_size=size))


def _of_device(
    gpu: Accelerator, ways: tuple[Way, ...], request: TrainingPlanRequest
) -> Iterator[Option | Message]:
    """The options of one device, or why there are none."""
    if gpu.device_type not in TRAINED:
        yield Message("plan_no_training", {"kind": gpu.device_type})
        return
    if not known(gpu):
        yield Message("plan_no_figures", {"gpu": gpu.name})
        return
    usable, least = gpu.memory_bytes_usable, None
    found_room = False
    before: tuple[Layout, int] | None = None
    for way in ways:
        if way.layout.tensor > max(gpu.scale_up_domain or 1, way.training.gpus_per_node):
            continue
        needs = [need + usual(gpu, way.groups, way.gaps, need) for need in way.needs]
        fitting = [i for i, need in enumerate(needs) if need <= usable]
        need = needs[0]
        least = need if least is None else min(least, need)
        if not fitting:
            continue
        found_room = True
        size = fitting[-1] if not request.keep_batch else 0
        if before == (way.layout, size):
            continue  # to compute again what fits anyway only costs time
        before = (way.layout, size)
        batch = way.training.batch_size if request.keep_batch else BATCHES[size]
        training = replace(way.training, gpu=gpu, batch_size=batch)
        yield _option(training, way, needs[size], usable, request)
    if not found_room:
        missing = Message("plan_no_room", {"least": least or 0, "usable": usable})
        yield missing if least else Message("plan_no_layout", {"gpu": gpu.name})


def _option(
    training: TrainingRequest, way: Way, need: int, usable: int, request: TrainingPlanRequest
) -> Option | Message:
    assert training.gpu is not None  # noqa: S101 - it was just put there
    try:
        found = estimate_training_performance(replace(request.ask, training=training))
    except DomainError as error:
        return error.message
    price = request.money.per_hour(training.gpu)
    whole = None if price is None else price * found.gpus
    cost = None if price is None or found.gpu_hours is None else price * found.gpu_hours
    lost = _missed(found, whole, cost, request)
    if lost is not None:
        return lost
    per_million = None if whole is None else whole / 3600 / found.tokens_per_sec * 1e6
    return Option(
        training.gpu, way.layout, training.framework, training.model.precision, training.model.quantization,
        training.batch_size, _figures(found, cost), need, usable, found.tokens_per_sec,
        found.tokens_per_sec_per_gpu, BITS, whole, per_million, _settings(training),
    )  # fmt: skip


def _missed(
    found: TrainingPerformance, price: float | None, cost: float | None, request: TrainingPlanRequest
) -> Message | None:
    """The first target that is missed."""
    t = request.targets
    ceilings = (("days", found.days, t.days), ("max_price_per_hour", price, t.max_price_per_hour),
                ("max_cost", cost, t.max_cost))  # fmt: skip
    for name, value, target in ceilings:
        if target is not None and value is not None and value > target:
            return Message("plan_misses", {"name": name, "value": f"{value:.2f}", "target": f"{target:g}"})
    if t.tokens_per_sec is not None and found.tokens_per_sec < t.tokens_per_sec:
        reached = f"{found.tokens_per_sec:.0f}"
        return Message(
            "plan_misses", {"name": "tokens_per_sec", "value": reached, "target": f"{t.tokens_per_sec:g}"}
        )
    return None


def _figures(found: TrainingPerformance, cost: float | None) -> dict[str, float | None]:
    return {
        "tokens_per_sec": found.tokens_per_sec,
        "tokens_per_sec_per_gpu": found.tokens_per_sec_per_gpu,
        "step_ms": found.step.total,
        "mfu": found.mfu,
        "days": found.days,
        "gpu_hours": found.gpu_hours,
        "cost": cost,
    }


def _settings(training: TrainingRequest) -> dict[str, object]:
    return {
        "gradient_checkpointing": training.gradient_checkpointing,
        "fsdp": training.fsdp,
        "zero_stage": training.zero_stage,
        "gradient_accumulation_steps": training.gradient_accumulation_steps,
        "sequence_length": training.sequence_length,
        "mixed_precision": training.mixed_precision,
        "method": training.method,
        "optimizer": training.optimizer,
    }
