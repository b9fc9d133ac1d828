"""The heart of an answer, small enough to keep with its question."""

from collections.abc import Mapping
from typing import Any, Final

Answer = Mapping[str, Any]

# What tells one answer from another at a look; whichever of them an answer has.
_FIGURES: Final = (
    "memory_requirements",
    "memory_bytes",
    "ttft_ms",
    "tpot_ms",
    "e2e_latency_ms",
    "output_tokens_per_sec",
    "requests_per_sec",
    "tokens_per_sec",
    "step_ms",
    "mfu",
    "days",
    "cost_usd",
    "cost_per_million_tokens",
    "bottleneck",
)
_BEST: Final = ("num_gpus", "precision", "quantization", "backend", "batch_size")


def gist(answer: Answer) -> dict[str, Any]:
    """The model's name, the main figures, whether it fits; of a recommendation its first option."""
    found: dict[str, Any] = {"model": answer.get("model", {}).get("name")}
    found |= {name: answer[name] for name in _FIGURES if answer.get(name) is not None}
    if fit := answer.get("fit"):
        found["fits"] = fit["fits"]
    options = answer.get("options") or answer.get("recommendation", {}).get("options")
    if options:
        found["best"] = _best(options[0])
    return found


def search_words(kind: str, request: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """What a search finds a kept question by.

    >>> search_words("recommend", {"gpus": ["L4", "H100"]}, {"model": "Qwen3-8B"})
    'recommend Qwen3-8B L4 H100'
    """
    gpu = request.get("gpu") or {}
    named = gpu if isinstance(gpu, str) else gpu.get("name")
    words = (kind, found.get("model"), named, *request.get("gpus", ()), request.get("backend"))
    return "".join(letter for letter in " ".join(str(word) for word in words if word) if letter.isprintable())


def _best(option: Answer) -> dict[str, Any]:
    return {"gpu": option["gpu"]["name"], **{name: option[name] for name in _BEST if name in option}}
