"""What to change first to lower the peak, by the phase that decides it."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from msgspec.structs import replace

from ...errors import DomainError
from ..requests import TrainingRequest
from .setup import Question, Setup, set_up
from .solve import Change, applied, tensors


def advice(question: Question, phase: str, total: int) -> dict[str, Any] | None:
    """The first change that lowers the peak `total` [bytes of tensors], and what it saves; None if none does.

    `code` and `params` are a sentence of the catalogue.
    """
    request = question.request
    for field, value in suited(request, phase):
        setup = alternative(question, field, value)
        saved = total - tensors(setup, request) if setup is not None else 0
        if saved > 0:
            return _told({field: value}, phase, saved)
    if request.batch_size > 1 and phase != "optimizer_step":
        half = request.batch_size // 2
        smaller = replace(request, batch_size=half)
        saved = total - tensors(set_up(Question(smaller)), smaller)
        return _told({"batch_size": half}, phase, saved) if saved > 0 else None
    return None


def _told(change: Change, phase: str, saved: int) -> dict[str, Any]:
    field, value = next(iter(change.items()))
    params = {"field": field, "value": value, "phase": phase, "saved": saved}
    return {"change": dict(change), "saves_bytes": saved, "code": "training_advice", "params": params}


@lru_cache(maxsize=512)
def alternative(question: Question, field: str, value: object) -> Setup | None:
    """The setup with one field changed; None where that cannot be."""
    try:
        return set_up(Question(applied(question.request, {field: value})))
    except DomainError:
        return None


def suited(request: TrainingRequest, phase: str) -> Iterator[tuple[str, object]]:
    """Changes that work on what is alive in a phase."""
    if phase == "optimizer_step":
        if request.optimizer in ("AdamW", "Adam") and not request.optimizer_fused:
            yield "optimizer_fused", True
        if request.optimizer != "Quantized AdamW":
            yield "optimizer", "Quantized AdamW"
        return
    if phase == "loss" and not request.fused_cross_entropy:
        yield "fused_cross_entropy", True
    if request.gradient_checkpointing != "full":
        yield "gradient_checkpointing", "full"
