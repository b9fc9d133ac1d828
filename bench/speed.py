"""Processor time of speeds and of recommendations, each asked anew so that nothing is remembered."""

import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from app.api.schemas.recommend import RecommendSchema
from app.performance.inference import estimate_performance
from app.service import Service, import_everything
from app.service.lookup import Lookup
from app.service.speed_questions import speed_question
from app.settings import read_settings

from .timing import best_of

Row = tuple[str, float, float | None]  # what, measured [µs], limit [µs]
SPEEDS: dict[str, dict[str, Any]] = {
    "a batch": {},
    "a Poisson stream": {"request_rate": 8},
    "a closed loop": {"concurrency": 32},
}
PLANS: dict[str, dict[str, Any]] = {
    "Qwen3-8B": {"task": "inference", "model_name": "Qwen3-8B", "targets": {"tpot_ms": 40}},
    "Qwen3-30B-A3B": {"task": "inference", "model_name": "Qwen3-30B-A3B"},
    "DeepSeek-V3 at 5 requests a second": {
        "task": "inference", "model_name": "DeepSeek-V3", "request_rate": 5, "targets": {"tpot_ms": 50},
    },
    "Qwen3-Next with 128 in flight": {
        "task": "inference", "model_name": "Qwen3-Next-80B-A3B-Instruct", "concurrency": 128,
    },
}  # fmt: skip


def rows() -> Iterator[Row]:
    """Each measured figure with its limit."""
    settings = read_settings({}, data_folder=Path(tempfile.mkdtemp()), access_log=False)
    import_everything()
    lookup = Lookup(settings)
    for name, load in SPEEDS.items():
        asked = {"model_name": "Qwen3-8B", "gpu": "H100-80GB", "input_length": 1024, "output_length": 256}
        question = speed_question({**asked, **load}, lookup).request
        yield f"speed of {name}, as a pure function", best_of(_speeds(question), 50), 1000
    service = Service(settings)
    for name, plan in PLANS.items():
        yield f"what to run {name} on, of all accelerators", best_of(_plans(service, plan), 1, 5), 300_000


def _speeds(question: Any) -> Callable[[], object]:
    lengths = count(1000)
    return lambda: estimate_performance(replace(question, input_length=next(lengths)))


def _plans(service: Service, plan: dict[str, Any]) -> Callable[[], object]:
    schema, lengths = RecommendSchema(), count(2000)
    return lambda: service.recommend(
        schema.load({**plan, "input_length": next(lengths), "output_length": 512})
    )
