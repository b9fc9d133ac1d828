"""The verdict in words, for the page as the server renders it; the page's own scripts say it the same way."""

from collections.abc import Mapping
from typing import Any, Final

PARTS: Final = {
    "inference": ("model_weights", "kv_cache", "activation_memory", "framework_overhead"),
    "training": (
        "model_weights",
        "gradients",
        "optimizer_states",
        "activation_memory",
        "temporary_buffers",
        "framework_overhead",
    ),
}
_TOTALS: Final = {"inference": "inference_memory", "training": "training_memory"}
_TIGHT: Final = 0.95


def total_key(answer: Mapping[str, Any]) -> str:
    """The key of an answer's sum."""
    return _TOTALS[answer["calculation_type"]]


def state_of(answer: Mapping[str, Any] | None) -> str:
    """`fits`, `tight`, `over` or `unknown`, from the answer alone."""
    fit = (answer or {}).get("fit")
    if not answer or not fit:
        return "unknown"
    spread = answer.get("memory_range_bytes", {}).get(total_key(answer))
    limit = fit["budget_bytes"]
    if not fit["fits"]:
        return "tight" if spread and spread["low"] <= limit else "over"
    if spread:
        return "tight" if spread["high"] > limit else "fits"
    return "tight" if fit["utilization"] > _TIGHT else "fits"


def verdict(first: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """One sentence: whether it fits, and what is free or missing."""
    answer, error = first["answer"], first["error"]
    if error:
        return str(error["error"])
    if not answer:
        return words["verdict.choose_model"]
    state = state_of(answer)
    needed = answer["memory_requirements"][total_key(answer)]
    if state == "unknown":
        return words["verdict.no_card"].format(need=needed)
    free = answer["fit"]["free_bytes"]
    unit = 2**30 if answer["parameters"].get("unit") == "GiB" else 10**9
    size = f"{abs(free) / unit:.2f} {'GiB' if unit == 2**30 else 'GB'}"
    key = "verdict.free" if free >= 0 else "verdict.missing"
    return f"{words['state.' + state]}{words['verdict.joint']}{words[key].format(size=size)}"
