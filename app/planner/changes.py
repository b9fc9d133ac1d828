"""Where nothing holds: the single change that would, the least of all first."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from msgspec.structs import replace

from ..hardware import Accelerator
from .requests import Option, Plan, PlanRequest, Targets, TrainingPlanRequest

MORE_GPUS: Final = (2, 4, 8)  # times as many
SLOWER: Final = (1.25, 1.5, 2.0, 4.0, 10.0)  # times a latency, or a share of a rate
SHORTER: Final = (2, 4, 8)
MOST_TRIED: Final = 24  # candidates of each change that are worked out, the most promising first
LATENCIES: Final = ("tpot_ms", "ttft_ms", "itl_ms", "e2e_latency_ms")
CEILINGS: Final = ("max_price_per_hour", "max_cost", "days")
RATES: Final = ("requests_per_sec", "output_tokens_per_sec", "tokens_per_sec")

Changed = tuple[Mapping[str, Any], Any]


def first_change(
    changes: Iterator[Changed], search: Callable[[Any], Plan]
) -> tuple[Mapping[str, Any], Option] | None:
    """The first change under which the search finds an option, and the best option then."""
    for change, request in changes:
        found = search(replace(request, limits=replace(request.limits, options=1)))
        if found.options:
            return change, found.options[0]
    return None


def for_serving(request: PlanRequest, everything: tuple[Accelerator, ...]) -> Iterator[Changed]:
    """Changes of a serving request: narrower numbers, more of what is there, weaker targets."""
    limits, ask = request.limits, request.ask
    yield from _formats(request)
    if ask.serving.kv_cache_dtype == "auto":
        narrow = replace(ask, serving=replace(ask.serving, kv_cache_dtype="fp8"))
        yield {"kv_cache_dtype": "fp8"}, replace(request, ask=narrow)
    for times in MORE_GPUS:
        most = limits.max_gpus * times
        yield {"max_gpus": most}, replace(request, limits=replace(limits, max_gpus=most))
    yield from _targets(request)
    if len(limits.gpus) < len(everything):
        yield {"gpus": None}, replace(request, limits=replace(limits, gpus=everything))
    for part in SHORTER:
        if ask.input_length // part:
            total = ask.input_length // part + ask.output_length
            shorter = replace(
                ask, input_length=ask.input_length // part,
                serving=replace(ask.serving, sequence_length=total),
            )  # fmt: skip
            yield {"input_length": shorter.input_length}, replace(request, ask=shorter)


def _formats(request: PlanRequest) -> Iterator[Changed]:
    limits = request.limits
    if not limits.quantizations or set(limits.quantizations) <= {"awq", "gptq", "int4"}:
        return
    for name in ("fp8", "awq"):
        if name not in limits.quantizations:
            yield {"quantization": name}, replace(request, limits=replace(limits, quantizations=(name,)))


def for_training(request: TrainingPlanRequest, everything: tuple[Accelerator, ...]) -> Iterator[Changed]:
    """Changes of a training request: what trains less first, then more of what is there."""
    limits, ask = request.limits, request.ask
    if request.keep_checkpointing and ask.training.gradient_checkpointing != "full":
        again = replace(ask, training=replace(ask.training, gradient_checkpointing="full"))
        yield {"gradient_checkpointing": "full"}, replace(request, ask=again)
    if request.keep_batch and ask.training.batch_size > 1:
        yield (
            {"batch_size": 1},
            replace(request, ask=replace(ask, training=replace(ask.training, batch_size=1))),
        )
    if ask.training.optimizer in ("AdamW", "Adam"):
        eight = replace(ask.training, optimizer="Quantized AdamW")
        yield {"optimizer": "Quantized AdamW"}, replace(request, ask=replace(ask, training=eight))
    for times in MORE_GPUS:
        most = limits.max_gpus * times
        yield {"max_gpus": most}, replace(request, limits=replace(limits, max_gpus=most))
    for method in ("lora", "qlora"):
        if ask.training.method == "full" or (ask.training.method, method) == ("lora", "qlora"):
            adapted = replace(ask.training, method=method, trainable_parameters=100.0)
            yield {"method": method}, replace(request, ask=replace(ask, training=adapted))
    yield from _targets(request)
    if len(limits.gpus) < len(everything):
        yield {"gpus": None}, replace(request, limits=replace(limits, gpus=everything))


def _targets(request: PlanRequest | TrainingPlanRequest) -> Iterator[Changed]:
    """One target weaker at a time, by as little as helps."""
    targets: Targets = request.targets
    for times in SLOWER:
        for name in (*LATENCIES, *CEILINGS, *RATES):
            asked = getattr(targets, name)
            if asked is None:
                continue
            weaker = asked / times if name in RATES else asked * times
            yield (
                {f"targets.{name}": round(weaker, 3)},
                replace(request, targets=replace(targets, **{name: weaker})),
            )
