"""Memory, performance and recommendation of one request, in one answer."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from ..errors import InvalidRequest, Problem
from ..messages import Message
from .plan_questions import LAYOUT
from .plan_questions import OWN as OF_PLAN

Values = Mapping[str, Any]
Answer = dict[str, Any]

CALCULATION: Final = (
    "calculation_type", "model", "parameters", "memory_requirements", "memory_bytes", "cluster_bytes",
    "per_gpu", "explanation", "warnings", "memory_range_bytes",
)  # fmt: skip
MEMORY: Final = (
    "memory_requirements", "memory_bytes", "cluster_bytes", "per_gpu", "memory_range_bytes", "fit",
    "capacity", "minimum_bytes", "solution", "maxima_bytes", "timeline", "peak_phase", "peak_tensor_bytes",
    "flops", "global_batch_size", "advice",
)  # fmt: skip
# What is asked of one device in one layout, and not of a search.
OF_ONE: Final = (
    "gpu", "price_per_hour", "context_parallel", "solve_for", "mode", "seed", "num_requests", "top_ops",
    "num_gpus", *LAYOUT,
)  # fmt: skip
LENGTHS: Final = ("sequence_length", "input_length", "output_length")
ASSUMED: Final = ("input_length", "output_length")
SIZES: Final = ("tensor_parallel", "pipeline_parallel", "data_parallel", "expert_parallel")


def whole_estimate(
    task: str,
    values: Values,
    recommend: Callable[[Values], Answer],
    time: Callable[[Values], Answer],
    say: Callable[[Message], Answer],
) -> Answer:
    """The answer; `recommend` and `time` answer the two questions. Without a `gpu` the best option's is
    taken. Raises `DomainError`."""
    plan = recommend({**{n: v for n, v in values.items() if n not in OF_ONE}, "task": task})
    asked = {name: value for name, value in values.items() if name not in OF_PLAN}
    if task == "inference" and not any(name in asked for name in LENGTHS):
        asked |= {name: plan["parameters"][name] for name in ASSUMED}
    said: list[Answer] = []
    if asked.get("gpu") is None:
        option = _best(plan)
        asked |= _of_option(task, option, asked)
        chosen = {"gpu": option["gpu"]["name"], "count": option["num_gpus"]}
        said.append(say(Message("estimate_gpu_chosen", chosen)))
    found = time(asked)
    return {
        **{name: found[name] for name in CALCULATION if name in found},
        "warnings": found["warnings"] + said,
        "memory": {name: found[name] for name in MEMORY if name in found},
        "performance": {n: v for n, v in found.items() if n not in CALCULATION and n not in MEMORY},
        "recommendation": {n: plan[n] for n in ("options", "rejected", "change", "searched", "warnings")},
    }


def _best(plan: Answer) -> Answer:
    if not plan["options"]:
        message = Message("estimate_no_option")
        raise InvalidRequest(message, [Problem("gpu", message)])
    best: Answer = plan["options"][0]
    return best


def _of_option(task: str, option: Answer, asked: Values) -> Answer:
    """The fields of an option; those that the request gave stay."""
    found = {"gpu": option["gpu"]["name"], **{name: option["layout"][name] for name in SIZES}}
    if option["quantization"] is not None:
        found["quantization"] = option["quantization"]
    if task == "inference":
        found["backend"] = option["backend"]
        if asked.get("request_rate") is None and asked.get("concurrency") is None:
            found["batch_size"] = option["batch_size"]
    else:
        settings = option["settings"]
        found["batch_size"] = option["batch_size"]
        found |= {name: settings[name] for name in ("gradient_checkpointing", "fsdp", "zero_stage")}
    return {**found, **{name: value for name, value in asked.items() if value is not None}}
