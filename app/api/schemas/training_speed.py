"""The request of `POST /api/performance/training`: the training request, a GPU, and how many tokens."""

from typing import ClassVar

from ...performance.training_requests import TrainingSpeedRequest
from .base import Rule
from .coefficients import calibration_field
from .defaults import default_of
from .fields import Integer, Number, TextOrObject
from .training import TrainingSchema

_default = default_of(TrainingSpeedRequest)


class TrainingSpeedSchema(TrainingSchema):
    """What is trained, by which recipe, on what, and for how long."""

    rules: ClassVar[tuple[Rule, ...]] = TrainingSchema.rules

    gpu = TextOrObject("A name, or an object whose fields override the named one's.", required=True)
    tokens = Integer("Tokens to train on: gives days, GPU hours and cost.", default=_default("tokens"))
    virtual_pipeline = Integer(
        "Chunks of layers on a pipeline rank [megatron: 4 where the layers allow, others: 1].",
        most=1024,
        default=_default("virtual_pipeline"),
    )
    inter_node_gb_s = Number(
        "Network of one GPU in one direction [as machines of its class have].",
        above=0,
        most=1e6,
        default=_default("inter_node_gb_s"),
    )
    calibration = calibration_field()
