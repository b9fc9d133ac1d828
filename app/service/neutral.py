"""Fields of a training request that cannot matter although they were given: said, never silently ignored.

Runtimes say the same of inference themselves, as it depends on the runtime.

Each rule names a field, when it cannot matter, and the sentence that says why. A test changes every field
and finds either another answer or one of these warnings.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from ..memory.optimizer import GALORE
from ..memory.requests import TrainingRequest
from ..memory.training.choices import PATCHED
from ..messages import Message


class Rule(Struct, frozen=True):
    """A field, and whether it cannot matter; `reason` is the code of the sentence."""

    field: str
    reason: str
    applies: Callable[[TrainingRequest], bool]


def _adapters(request: TrainingRequest) -> bool:
    return request.method in ("lora", "qlora", "dora")


def _one_replica(request: TrainingRequest) -> bool:
    return request.data_parallel * request.context_parallel == 1


def _unsharded(request: TrainingRequest) -> bool:
    """One replica, all of which stays on its GPU."""
    kept = request.offload.optimizer == request.offload.parameters == "none"
    return kept and _one_replica(request)


def _one_gpu(request: TrainingRequest) -> bool:
    sizes = (
        request.tensor_parallel,
        request.pipeline_parallel,
        request.data_parallel,
        request.context_parallel,
    )
    return max(sizes) == 1


def _below_3(request: TrainingRequest) -> bool:
    return request.stage < 3 or _unsharded(request)


def _buckets(request: TrainingRequest) -> bool:
    """Whether gradients are reduced through DeepSpeed's bucket."""
    own = request.framework == "megatron" and request.stage < 3
    return request.stage > 0 and not own and not _unsharded(request)


def _zero(field: str, reason: str, applies: Callable[[TrainingRequest], bool]) -> Rule:
    return Rule(f"zero_optimization.{field}", reason, applies)


_ZERO: Final = (
    _zero("reduce_bucket_size", "neutral_no_zero", lambda r: not _buckets(r)),
    _zero("stage3_prefetch_bucket_size", "neutral_only_zero3", _below_3),
    _zero("stage3_max_live_parameters", "neutral_only_zero3", _below_3),
    _zero("stage3_max_reuse_distance", "neutral_only_zero3", _below_3),
    _zero("stage3_param_persistence_threshold", "neutral_only_zero3", _below_3),
    _zero("sub_group_size", "neutral_only_zero3", _below_3),
    _zero("max_in_cpu", "neutral_only_nvme", lambda r: r.offload.parameters != "nvme"),
    _zero("param_buffer_count", "neutral_only_nvme", lambda r: r.offload.parameters != "nvme"),
    _zero("param_buffer_size", "neutral_only_nvme", lambda r: r.offload.parameters != "nvme"),
    _zero("optimizer_buffer_count", "neutral_only_nvme", lambda r: r.offload.optimizer != "nvme"),
)
_RULES: Final = (
    Rule("momentum", "neutral_only_sgd", lambda r: r.optimizer != "SGD"),
    Rule("lora", "neutral_only_adapters", lambda r: not _adapters(r)),
    Rule("lora.alpha", "neutral_only_scale", _adapters),
    Rule("lora.loraplus_lr_ratio", "neutral_only_rates", _adapters),
    Rule("use_liger_kernel", "neutral_own_kernels", lambda r: r.framework not in PATCHED),
    Rule("trainable_parameters", "neutral_only_full", _adapters),
    Rule(
        "checkpoint_every_n_layers", "neutral_only_every_n", lambda r: r.gradient_checkpointing != "every_n"
    ),
    Rule("galore_rank", "neutral_only_galore", lambda r: r.optimizer not in GALORE),
    Rule("pipeline_schedule", "neutral_no_pipeline", lambda r: r.pipeline_parallel == 1),
    Rule("pipeline_chunks", "neutral_only_interleaved", lambda r: r.pipeline_schedule != "interleaved"),
    Rule("zero_stage", "neutral_one_replica", lambda r: r.zero_stage > 0 and _unsharded(r)),
    *_ZERO,
    Rule("fsdp", "neutral_one_replica", lambda r: r.fsdp != "none" and _unsharded(r)),
    Rule("sequence_parallel", "neutral_no_tensor_parallel", lambda r: r.tensor_parallel == 1),
    Rule("expert_imbalance", "neutral_no_expert_ranks", lambda r: r.expert_parallel == 1),
    Rule("gpus_per_node", "neutral_no_network", lambda r: r.fsdp != "hsdp" or _one_gpu(r)),
)


def neutral_fields(request: TrainingRequest, given: Mapping[str, Any]) -> list[Message]:
    """A warning for each given field that cannot matter for this training."""
    return [
        Message(rule.reason, {"field": rule.field})
        for rule in _RULES
        if _given(given, rule.field) is not None and rule.applies(request)
    ]


def _given(values: Mapping[str, Any], path: str) -> Any:
    """What a request says under a path; None for nothing."""
    outer, _, inner = path.partition(".")
    found = values.get(outer)
    return found.get(inner) if inner and isinstance(found, Mapping) else None if inner else found
