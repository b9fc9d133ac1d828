"""The request of `POST /api/recommend`: a task, the request of its calculation without a device, limits."""

from collections.abc import Mapping
from typing import Any, ClassVar

import marshmallow as ma

from ...errors import Problem
from .. import choices
from .base import Rule, StrictSchema
from .fields import Choice, Integer, Nested, Number, Strict, Text, Texts, rejected
from .model import MOST_GPUS
from .performance import PerformanceSchema
from .training_speed import TrainingSpeedSchema

MOST_OPTIONS = 100


class Prices(Strict, ma.fields.Dict):
    """Prices of one GPU for an hour by its name."""

    def accept(self, value: Any, path: str) -> dict[str, float]:
        if not isinstance(value, dict) or len(value) > 1000:
            raise rejected(path, "not_object")
        price = Number(most=1e9)
        return {name: price.accept(each, f"{path}.{name[:80]}") for name, each in value.items()}


class Formats(Texts):
    """Formats to choose among, by any of their spellings."""

    def accept(self, value: Any, path: str) -> tuple[str, ...]:
        one = Choice(of=choices.QUANTIZATIONS)
        return tuple(one.accept(name, f"{path}[{i}]") for i, name in enumerate(super().accept(value, path)))


class TargetsSchema(StrictSchema):
    """What an option must hold; of serving."""

    ttft_ms = Number("Time to the first token at most.", above=0, default=None)
    tpot_ms = Number("Time per output token at most.", above=0, default=None)
    itl_ms = Number("Time between tokens at most.", above=0, default=None)
    e2e_latency_ms = Number("Time of a whole request at most.", above=0, default=None)
    statistic = Choice(
        "Of which latencies: their mean or a percentile.", of=choices.STATISTICS, default="mean"
    )
    requests_per_sec = Number("Load that must be answered, Poisson.", above=0, most=1e6, default=None)
    output_tokens_per_sec = Number("Written tokens a second at least.", above=0, default=None)
    max_price_per_hour = Number("Of all GPUs.", above=0, default=None)


class TrainingTargetsSchema(StrictSchema):
    """What an option must hold; of training."""

    tokens_per_sec = Number("Over all GPUs at least.", above=0, default=None)
    days = Number("For `tokens` at most.", above=0, default=None)
    max_price_per_hour = Number("Of all GPUs.", above=0, default=None)
    max_cost = Number("For `tokens` at most.", above=0, default=None)


class LimitsSchema(StrictSchema):
    """What the search may choose among, and how money is told."""

    task = Choice("What is planned.", of=choices.CALCULATIONS, required=True)
    gpus = Texts("Accelerators to choose among [all].", most=1000, default=None)
    max_gpus = Integer("Most GPUs in all.", most=MOST_GPUS, default=16)
    currency = Text("Of prices.", longest=8, default="USD")
    exchange_rate = Number("Units of the currency for one dollar.", above=0, most=1e9, default=None)
    prices = Prices("Of one GPU for an hour, by name, in the currency.", default=None)
    options = Integer("Most options answered.", most=MOST_OPTIONS, default=10)


class RecommendInferenceSchema(PerformanceSchema, LimitsSchema):
    """Serving: layouts that are not given are searched, and so is the batch."""

    class Meta:
        unknown = ma.RAISE
        exclude = (
            "gpu",
            "price_per_hour",
            "context_parallel",
            "solve_for",
            "mode",
            "seed",
            "num_requests",
            "top_ops",
        )

    rules: ClassVar[tuple[Rule, ...]] = PerformanceSchema.rules
    targets = Nested(TargetsSchema(), "What must be held [tpot_ms 100 where no load is given].", default=None)
    quantizations = Formats(
        "Formats to choose among [the checkpoint's own, else none and fp8].", default=None
    )


class RecommendTrainingSchema(TrainingSpeedSchema, LimitsSchema):
    """Training: layouts that are not given are searched, and so are micro-batch and recomputation."""

    class Meta:
        unknown = ma.RAISE
        exclude = ("gpu", "context_parallel", "expert_parallel", "solve_for")

    rules: ClassVar[tuple[Rule, ...]] = TrainingSpeedSchema.rules
    targets = Nested(TrainingTargetsSchema(), "What must be held.", default=None)


class RecommendSchema(RecommendTrainingSchema, RecommendInferenceSchema):
    """Either of both, by `task`."""

    class Meta:
        unknown = ma.RAISE
        exclude = (
            "gpu",
            "price_per_hour",
            "context_parallel",
            "solve_for",
            "mode",
            "seed",
            "num_requests",
            "top_ops",
        )

    targets = Nested(TargetsSchema(), "What must be held; of training tokens_per_sec, days and max_cost too.")

    def examine(self, data: Mapping[str, Any], prefix: str = "") -> tuple[dict[str, Any], list[Problem]]:
        """By the schema of the task."""
        training = choices.CALCULATIONS.canonical(str(data.get("task"))) == "training"
        return (_TRAINING if training else _INFERENCE).examine(data, prefix)


_INFERENCE = RecommendInferenceSchema()
_TRAINING = RecommendTrainingSchema()
