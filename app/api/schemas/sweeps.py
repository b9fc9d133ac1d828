"""Requests and answers of sweeps."""

from collections.abc import Mapping
from typing import Final

from marshmallow import fields as f

from .. import choices
from .answers import Answer
from .base import QuerySchema, StrictSchema
from .fields import Choice, Object
from .inference import InferenceSchema
from .performance import PerformanceSchema
from .training import TrainingSchema
from .training_speed import TrainingSpeedSchema

# What checks the fields of one point.
POINTS: Final[Mapping[str, StrictSchema]] = {
    "memory_inference": InferenceSchema(),
    "performance_inference": PerformanceSchema(),
    "memory_training": TrainingSchema(),
    "performance_training": TrainingSpeedSchema(),
}

_VARY = (
    "The axes: a field with a list of its values, or a range {from, to, step or times}; or model, layout, "
    "lengths or variant with a list of objects that set several fields. Every combination is a point."
)


class SweepSchema(StrictSchema):
    """A grid of points."""

    calculation = Choice("What is asked at each point.", of=choices.SWEEPS, required=True)
    fixed = Object("Fields of every point, as in a request of that calculation.")
    vary = Object(_VARY, required=True)


class ResultQuery(QuerySchema):
    """How rows are written."""

    format = Choice("JSON lines or Parquet.", of=choices.SWEEP_FORMATS, default="ndjson")


class SweepRowsAnswer(Answer):
    """A small sweep, answered at once."""

    calculation = f.String(required=True)
    state = f.String(required=True, metadata={"description": "done"})
    total = f.Integer(required=True, metadata={"description": "Points."})
    done = f.Integer(required=True)
    rows = f.List(
        f.Dict(keys=f.String()),
        required=True,
        metadata={
            "description": "For each point what varies and its figures, or `error` and `error_message`; "
            "batch sizes and lengths turn fastest."
        },
    )


class SweepAnswer(Answer):
    """How far a sweep is."""

    id = f.String(required=True, metadata={"description": "Cannot be guessed: whoever has it may look."})
    calculation = f.String(required=True)
    state = f.String(required=True, metadata={"description": "queued, running, done or failed"})
    total = f.Integer(required=True, metadata={"description": "Points."})
    done = f.Integer(required=True, metadata={"description": "Points that are computed."})
    created = f.Float(required=True, metadata={"description": "[s] since 1970."})
    finished = f.Float(required=True, allow_none=True, metadata={"description": "[s] since 1970."})
    error = f.String(required=True, allow_none=True, metadata={"description": "Why it failed."})
