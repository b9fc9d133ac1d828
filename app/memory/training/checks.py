"""What cannot be asked of a training run, and what a reader should know of one that can."""

from collections.abc import Iterator
from functools import lru_cache

from ...architecture import Architecture
from ...architecture.operations import Attention, Experts, Scan
from ...errors import InvalidRequest, NotSupportedYet, Problem
from ...messages import Message
from ...parallelism import Layout, stages
from ...units import ceil_div
from .. import optimizer as optimizers
from ..requests import TrainingRequest, ZeroOptimization
from . import layers  # noqa: F401  (signs up every rule)
from .deepspeed import BUFFER, least_buffer
from .layers import is_text
from .lowering import RULES
from .scans import EXACT
from .sharding import layout_of, sharding_of

OVER_TRAINER = ("transformers", "llama_factory")  # whose configurations say "auto" for sizes
AS_SHIPPED = ZeroOptimization()
FOLLOWED = frozenset(kind.__name__ for kind in RULES) | {"Hold"}


def check(request: TrainingRequest) -> None:
    """Raise `InvalidRequest` for contradictions, `NotSupportedYet` for what is not computed; all at once."""
    wrong = list(contradictions(request))
    if wrong:
        raise InvalidRequest(wrong[0].message, wrong)
    missing = [
        Problem(field, Message("training_not_computed", {"field": field})) for field in not_computed(request)
    ]
    if missing:
        raise NotSupportedYet(missing[0].message, missing)


def contradictions(request: TrainingRequest) -> Iterator[Problem]:
    """Fields that contradict each other."""
    if request.optimizer_foreach and request.optimizer_fused:
        yield _problem("optimizer_fused", "training_foreach_and_fused")
    if request.optimizer_fused and not optimizers.find(request.optimizer, request.momentum).fused:
        yield _problem("optimizer_fused", "training_not_fused", optimizer=request.optimizer)
    most = most_imbalance(request)
    if most is not None and request.expert_imbalance > most:
        yield _problem(
            "expert_imbalance", "training_imbalance", value=request.expert_imbalance, most=most,
            ranks=request.expert_parallel,
        )  # fmt: skip
    yield from misplaced(request)
    if request.zero_stage and request.fsdp != "none":
        yield _problem("fsdp", "training_zero_and_fsdp", stage=request.zero_stage)


def misplaced(request: TrainingRequest) -> Iterator[Problem]:
    """What cannot leave the GPU in this way: whole weights, and to NVMe anything but by ZeRO-3."""
    offload = request.offload
    if offload.parameters != "none" and request.stage < 3 and request.fsdp == "none":
        yield _problem("offload.parameters", "training_offload_unsharded")
    for part in ("optimizer", "parameters"):
        if getattr(offload, part) == "nvme" and request.stage < 3:
            yield _problem(f"offload.{part}", "training_offload_nvme")
    count = request.zero_optimization.optimizer_buffer_count
    if offload.optimizer == "nvme" and count < (least := 2 + states_of(request)):
        field = "zero_optimization.optimizer_buffer_count"
        yield _problem(field, "training_few_buffers", value=count, least=least, optimizer=request.optimizer)


def states_of(request: TrainingRequest) -> int:
    """State tensors that an optimizer has for each weight."""
    chosen = optimizers.find(request.optimizer, request.momentum)
    return ceil_div(chosen.state((1 << 10, 1 << 10), 1), 1 << 20)


def most_imbalance(request: TrainingRequest) -> float | None:
    """Tokens of a rank over the mean if it got every token as often as it can; None without such ranks.

    A token goes to `top_k` different experts, so that one rank gets it no more often than it has experts.
    """
    ranks = request.expert_parallel
    mixtures = [op for _, op in request.model.architecture.operations() if isinstance(op, Experts)]
    if ranks == 1 or not mixtures:
        return None
    return max(ranks * min(op.top_k, -(-op.count // ranks)) / op.top_k for op in mixtures if op.top_k)


def not_computed(request: TrainingRequest) -> Iterator[str]:
    """Documented options that are not followed yet."""
    if request.objective != "causal_lm" and request.fused_cross_entropy:
        yield "fused_cross_entropy"


def notes(request: TrainingRequest) -> Iterator[Message]:
    """What was taken instead of what was asked, and what is less sure than the rest."""
    written_out, left_out, bounded, text = traits(request.model.architecture)
    if request.attention == "sdpa" and written_out:
        yield Message("training_attention_eager", {"attention": request.attention})
    if left_out:
        yield Message("training_left_out", {"kinds": left_out})
    if bounded:
        yield Message("training_scan_bounded", {"kinds": bounded})
    described = request.model.architecture
    if not text:
        yield Message("training_text_batches")
    if described.notes.get("kind") == "encoder_decoder":
        yield Message("training_source_length", {"length": request.sequence_length})
    if request.compile:
        yield Message("training_compiled")
    if request.mixed_precision == "fp8":
        yield Message("training_fp8")
    if request.offload.activations != "none":
        yield Message("training_offloaded_activations")
    yield from of_sharding(request)
    if request.objective != "causal_lm":
        yield Message("training_preferences", {"sequences": request.sequences})


def of_sharding(request: TrainingRequest) -> Iterator[Message]:
    """What a reader should know of sharding and offloading: which sizes were taken, what else leaves."""
    offload = request.offload
    if request.fsdp != "none" and offload.parameters != "none" and offload.optimizer == "none":
        yield Message("training_fsdp_offload")
    if request.stage != request.zero_stage:
        yield Message("training_offload_by_zero3")
    if offload.parameters == "nvme" and request.zero_optimization.param_buffer_size is None:
        yield from grown_buffers(request)
    shipped = request.framework in OVER_TRAINER and request.zero_optimization == AS_SHIPPED
    if shipped and sharding_of(request).name.startswith("zero"):
        width = request.model.architecture.hidden_size
        sizes = {"bucket": width**2, "prefetch": width**2 * 9 // 10, "threshold": 10 * width}
        yield Message("training_zero_defaults", sizes)


def grown_buffers(request: TrainingRequest) -> Iterator[Message]:
    """A word on buffers that had to be larger than DeepSpeed's default."""
    size = whole_buffer(request.model.architecture, layout_of(request))
    if size > BUFFER:
        yield Message("training_larger_buffer", {"size": size})


@lru_cache(maxsize=256)
def whole_buffer(architecture: Architecture, layout: Layout) -> int:
    """Elements of a parameter buffer that any stage's largest share goes into."""
    return least_buffer(stages(architecture.sections, 1)[0], layout)


@lru_cache(maxsize=1024)
def traits(architecture: Architecture) -> tuple[bool, str, str, bool]:
    """Whether its attention is only written out in eager code; the operations that have no rule; the
    recurrences that have only a bound; whether all of it works on text."""
    operations = [op for _, op in architecture.operations()]
    written_out = any(isinstance(op, Attention) and (op.softcap or op.sinks) for op in operations)
    left_out = {type(op).__name__ for op in operations} - FOLLOWED
    bounded = {op.kind for op in operations if isinstance(op, Scan)} - EXACT
    text = all(map(is_text, architecture.sections))
    return written_out, ", ".join(sorted(left_out)), ", ".join(sorted(bounded)), text


def _problem(field: str, code: str, **params: object) -> Problem:
    return Problem(field, Message(code, {"field": field, **params}))
