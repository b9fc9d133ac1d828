"""Precision recipes: in which types weights, gradients, master copies and products stand."""

from typing import Final

from msgspec import Struct

from ...errors import invalid
from ..requests import TrainingRequest
from ..weights import StoredModel, stored_model

ITEM: Final = {"float32": 4, "tf32": 4, "float16": 2, "bfloat16": 2}
HALVES: Final = {"bf16": "bfloat16", "fp16": "float16", "fp8": "bfloat16"}
ADAPTED: Final = ("lora", "qlora", "dora")
# Frameworks that keep 16-bit weights beside float32 master copies under mixed precision: Megatron's
# Float16Optimizer, DeepSpeed's BF16_Optimizer and FP16_Optimizer.
MASTERED: Final = ("megatron", "deepspeed")


class Recipe(Struct, frozen=True):
    """Types of one run; items are bytes per element.

    `weights`: the stored type. `master_item`: bytes of the master copy of each trained weight, 0 for none.
    `buffered`: gradients live in buffers of their own through the whole step (Megatron's main gradients).
    `local_item`: the type that weights are used in, where sharded weights are gathered in another.
    """

    weights: str
    weight_item: int
    compute_item: int
    autocast: bool
    gradient_item: int
    master_item: int
    buffered: bool
    local_item: int
    stored: StoredModel

    @property
    def gradient_dtype(self) -> str:
        """The name of the gradients' type."""
        if self.gradient_item == 4:
            return "float32"
        return "float16" if self.weights == "float16" else "bfloat16"


def recipe_of(request: TrainingRequest) -> Recipe:
    """The types that the request's precision, mixed precision and framework mean together."""
    mixed, mastered = request.mixed_precision, request.framework in MASTERED
    adapted = request.method in ADAPTED
    precision = request.model.precision or _default_precision(request)
    quantization = request.model.quantization
    if request.method == "qlora" and quantization in (None, "none"):
        quantization = "nf4-double"
    if not adapted:
        if precision not in ITEM:
            raise invalid("precision", "training_narrow_weights", value=precision)
        if quantization not in (None, "none"):
            raise invalid("quantization", "training_narrow_weights", value=quantization)
        quantization = "none"
    item = ITEM.get(precision, 2)
    gathered = mixed != "none" and request.fsdp != "none"  # FSDP gathers float32 shards as 16-bit weights
    autocast = mixed != "none" and item == 4 and not gathered
    half_master = mixed != "none" and mastered and item == 2
    master = half_master if request.master_weights is None else request.master_weights
    buffered = request.framework == "megatron" and mixed != "none"
    gradient = ITEM[request.gradient_dtype] if request.gradient_dtype else 4 if buffered else item
    stored = stored_model(
        request.model.architecture, precision, quantization, request.model.size_billions, narrow_float32=False
    )
    return Recipe(
        precision, item, 2 if autocast or gathered else item, autocast, gradient,
        4 if master and item == 2 else 0, buffered, 2 if gathered else item, stored,
    )  # fmt: skip


def _default_precision(request: TrainingRequest) -> str:
    if request.mixed_precision == "none" or request.method == "qlora":
        return "bfloat16"
    return HALVES[request.mixed_precision] if request.framework in MASTERED else "float32"
