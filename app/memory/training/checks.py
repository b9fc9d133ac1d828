"""What cannot be asked of a training run, and what a reader should know of one that can."""

from collections.abc import Iterator
from functools import lru_cache

from ...architecture import Architecture
from ...architecture.operations import Attention, Experts, Scan
from ...errors import InvalidRequest, NotSupportedYet, Problem
from ...messages import Message
from .. import optimizer as optimizers
from ..requests import TrainingRequest
from . import layers  # noqa: F401  (signs up every rule)
from .layers import is_text
from .lowering import RULES
from .scans import EXACT

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
    if request.zero_stage and request.fsdp != "none":
        yield _problem("fsdp", "training_zero_and_fsdp", stage=request.zero_stage)


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
    written_out, left_out, bounded = traits(request.model.architecture)
    if request.attention == "sdpa" and written_out:
        yield Message("training_attention_eager", {"attention": request.attention})
    if left_out:
        yield Message("training_left_out", {"kinds": left_out})
    if bounded:
        yield Message("training_scan_bounded", {"kinds": bounded})
    described = request.model.architecture
    if not all(map(is_text, described.sections)):
        yield Message("training_text_batches")
    if described.notes.get("kind") == "encoder_decoder":
        yield Message("training_source_length", {"length": request.sequence_length})
    if request.compile:
        yield Message("training_compiled")
    if request.mixed_precision == "fp8":
        yield Message("training_fp8")
    if request.offload.activations != "none":
        yield Message("training_offloaded_activations")
    if request.objective != "causal_lm":
        yield Message("training_preferences", {"sequences": request.sequences})


@lru_cache(maxsize=1024)
def traits(architecture: Architecture) -> tuple[bool, str, str]:
    """Whether its attention is only written out in eager code; the operations that have no rule; the
    recurrences that have only a bound."""
    operations = [op for _, op in architecture.operations()]
    written_out = any(isinstance(op, Attention) and (op.softcap or op.sinks) for op in operations)
    left_out = {type(op).__name__ for op in operations} - FOLLOWED
    bounded = {op.kind for op in operations if isinstance(op, Scan)} - EXACT
    return written_out, ", ".join(sorted(left_out)), ", ".join(sorted(bounded))


def _problem(field: str, code: str, **params: object) -> Problem:
    return Problem(field, Message(code, {"field": field, **params}))
