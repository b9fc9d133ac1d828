"""Our figures for a run that torch's MemTracker followed: same model, kernels as fake tensors have them."""

from collections.abc import Mapping
from typing import Any

from app.architecture import read_config
from app.memory.requests import Lora, Model, TrainingRequest
from app.memory.training.follow import follow
from app.memory.training.mode import TRACED_CPU
from app.memory.training.setup import Question, set_up


def request_of(case: Mapping[str, Any]) -> TrainingRequest:
    """A case of the oracle as a request."""
    lora = case["lora"]
    return TrainingRequest(
        Model(read_config(case["config"]), "case", case["dtype"]),
        method="lora" if lora else "full",
        lora=Lora(
            rank=lora["r"],
            dropout=lora.get("lora_dropout", 0.0),
            target_modules=_targets(lora),
            bias=lora.get("bias", "none"),
        )
        if lora
        else None,
        mixed_precision="bf16" if case["autocast"] else "none",
        optimizer="SGD" if case["optimizer"] == "sgd" else "AdamW",
        momentum=0.0,
        optimizer_dtype="auto",
        optimizer_foreach=case["foreach"],
        batch_size=case["batch"],
        sequence_length=case["length"],
        gradient_checkpointing="full" if case["checkpointing"] else "none",
        attention=case["attention"],
    )


def _targets(lora: Mapping[str, Any]) -> str | tuple[str, ...]:
    targets = lora.get("target_modules", "all-linear")
    return targets if isinstance(targets, str) else tuple(targets)


def phases(case: Mapping[str, Any]) -> dict[str, int]:
    """The largest total of each phase [bytes]."""
    request = request_of(case)
    setup = set_up(Question(request, TRACED_CPU))
    return {name: held.total for name, held in follow(setup.steps[0], request).items()}
