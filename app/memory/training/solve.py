"""The inverse questions: largest batch, longest sequence, fewest GPUs, and the single changes that help."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from msgspec.structs import replace

from ...errors import DomainError, InvalidLayout, invalid
from ..requests import Lora, TrainingRequest
from .choices import PATCHED
from .device import overhead
from .follow import follow
from .setup import Question, Setup, set_up

MOST: Final = 2**27
MOST_GPUS: Final = 1024

Change = Mapping[str, Any]


def peak(request: TrainingRequest) -> int:
    """The need of the fullest rank with what the device adds [bytes]; raises `DomainError`."""
    need = tensors(set_up(Question(request)), request)
    return need + overhead(request, need).bytes


def tensors(setup: Setup, request: TrainingRequest) -> int:
    """The largest moment of any rank [bytes of tensors]."""
    return max(held.total for step in setup.steps for held in follow(step, request).values())


def solve(request: TrainingRequest) -> dict[str, Any]:
    """The answer of `solve_for` on the device of the request; `value` is None where nothing fits.

    Raises `InvalidRequest` without a device.
    """
    if request.gpu is None:
        raise invalid("gpu", "training_solve_needs_gpu", question=request.solve_for)
    usable = request.gpu.memory_bytes_usable
    found: dict[str, Any] = {"solve_for": request.solve_for}
    match request.solve_for:
        case "max_batch_size":
            found["value"] = largest(lambda n: peak(replace(request, batch_size=n)) <= usable)
        case "max_sequence_length":
            found["value"] = largest(lambda n: peak(replace(request, sequence_length=n)) <= usable)
        case "min_gpus":
            found |= fewest(request, usable)
        case _:
            found["value"] = changes(request, usable)
    return found


def largest(fits: Callable[[int], bool]) -> int | None:
    """The largest number that fits; None where not even 1 does. `fits` must be monotone.

    >>> largest(lambda n: n * n < 200)
    14
    """
    if not fits(1):
        return None
    low, high = 1, 2
    while high <= MOST and fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def fewest(request: TrainingRequest, usable: int) -> dict[str, Any]:
    """The fewest GPUs: replicas of the asked model-parallel group, sharded as asked (else by FSDP2)."""
    sharded = request.stage > 0 or request.fsdp != "none"
    group = request.tensor_parallel * request.pipeline_parallel * request.context_parallel
    replicas = 1
    while replicas * group <= MOST_GPUS:
        tried = replace(request, data_parallel=replicas, fsdp=request.fsdp if sharded else "fsdp2")
        if (need := possible_peak(tried)) is not None and need <= usable:
            layout = {"data_parallel": replicas, "fsdp": tried.fsdp, "zero_stage": tried.stage}
            return {"value": replicas * group, **layout}
        replicas *= 2
    return {"value": None}


def possible_peak(request: TrainingRequest) -> int | None:
    """The need of the fullest rank [bytes]; None for a layout that cannot be (too few ranks for experts)."""
    try:
        return peak(request)
    except InvalidLayout:
        return None


def candidates(request: TrainingRequest) -> Iterator[Change]:
    """Single changes, the ones that cost least first: kernels, recomputation, then what alters training."""
    yield {"optimizer_fused": True}
    if request.framework in PATCHED:
        yield {"use_liger_kernel": True}
    yield {"fused_cross_entropy": True}
    yield {"attention": "sdpa"}
    if request.gradient_checkpointing == "none":
        yield {"gradient_checkpointing": "selective"}
    yield {"gradient_checkpointing": "full"}
    micro_batches = request.gradient_accumulation_steps * request.batch_size
    yield {"batch_size": 1, "gradient_accumulation_steps": micro_batches}
    yield {"optimizer": "Quantized AdamW"}
    yield {"offload": {"optimizer": "cpu"}}
    yield {"offload": {"activations": "cpu"}}
    if request.stage == 3 or request.fsdp != "none":
        yield {"offload": {"optimizer": "cpu", "parameters": "cpu"}}
    if request.method in ("full", "freeze"):
        yield {"method": "lora"}
    yield {"method": "qlora"}
    if request.fsdp == "none" and request.stage == 0:
        for ranks in (2, 4, 8):
            yield {"fsdp": "fsdp2", "data_parallel": ranks * request.data_parallel}


def applied(request: TrainingRequest, change: Change) -> TrainingRequest:
    """The request with one change."""
    fields = dict(change)
    if "offload" in fields:
        fields["offload"] = replace(request.offload, **fields["offload"])
    if fields.get("method") in ("lora", "qlora"):
        fields |= {"lora": request.lora or Lora(), "trainable_parameters": 100.0}
    return replace(request, **fields)


def changes(request: TrainingRequest, usable: int) -> list[dict[str, Any]]:
    """Every single change with what it would save [bytes] and whether it then fits: fitting ones first,
    in the order of what they cost."""
    before = peak(request)
    found = []
    for change in candidates(request):
        try:
            after = peak(applied(request, change))
        except DomainError:
            continue
        if after < before:
            found.append(
                {
                    "change": dict(change),
                    "training_memory": after,
                    "saves_bytes": before - after,
                    "fits": after <= usable,
                }
            )
    return sorted(found, key=lambda row: not row["fits"])
