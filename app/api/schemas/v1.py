"""The requests of `/api/v1`: a calculation's own, and what its recommendation may choose among."""

from typing import ClassVar

import marshmallow as ma

from .base import Rule
from .fields import Nested, TextOrObject
from .performance import PerformanceSchema
from .recommend import Formats, LimitsSchema, TargetsSchema, TrainingTargetsSchema
from .training_speed import TrainingSpeedSchema

_GPU = "A name, or an object whose fields override the named one's [that of the best option]."


class EstimateInferenceSchema(PerformanceSchema, LimitsSchema):
    """Serving."""

    class Meta:
        unknown = ma.RAISE
        exclude = ("task",)

    rules: ClassVar[tuple[Rule, ...]] = PerformanceSchema.rules
    gpu = TextOrObject(_GPU, default=None)
    targets = Nested(TargetsSchema(), "What an option must hold.", default=None)
    quantizations = Formats("Formats to choose among.", default=None)


class EstimateTrainingSchema(TrainingSpeedSchema, LimitsSchema):
    """Training."""

    class Meta:
        unknown = ma.RAISE
        exclude = ("task",)

    rules: ClassVar[tuple[Rule, ...]] = TrainingSpeedSchema.rules
    gpu = TextOrObject(_GPU, default=None)
    targets = Nested(TrainingTargetsSchema(), "What an option must hold.", default=None)
