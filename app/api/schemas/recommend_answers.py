"""What plans and estimates of everything at once look like."""

import marshmallow as ma
from marshmallow import fields as f

from .answers import Answer, ModelInfo, WarningAnswer


class OptionAnswer(Answer):
    """One way to run it."""

    rank = f.Integer(required=True)
    gpu = f.Dict(required=True, metadata={"description": "name, label, vendor"})
    num_gpus = f.Integer(required=True)
    nodes = f.Integer(required=True)
    layout = f.Dict(keys=f.String(), values=f.Integer(), required=True)
    precision = f.String(required=True, allow_none=True)
    quantization = f.String(required=True, allow_none=True)
    batch_size = f.Integer(required=True, metadata={"description": "In flight; of training the micro-batch."})
    performance = f.Dict(required=True)
    memory = f.Dict(required=True, metadata={"description": "Of the fullest GPU."})
    price = f.Dict(required=True, allow_none=True, metadata={"description": "Of all GPUs; null: unknown."})
    on_front = f.Boolean(required=True)
    why = f.List(f.Nested(WarningAnswer), required=True)
    launch = f.Dict(metadata={"description": "Commands and files by tool, ready to paste."})


class RejectedAnswer(Answer):
    """A device without an option."""

    gpu = f.String(required=True)
    code = f.String(required=True)
    reason = f.String(required=True)


class PlanAnswer(Answer):
    """Options, best first."""

    task = f.String(required=True)
    model = f.Nested(ModelInfo, required=True)
    parameters = f.Dict(required=True)
    options = f.List(f.Nested(OptionAnswer), required=True)
    rejected = f.List(f.Nested(RejectedAnswer), required=True)
    change = f.Dict(required=True, allow_none=True, metadata={"description": "Where there is no option."})
    searched = f.Dict(keys=f.String(), values=f.Integer(), required=True)
    warnings = f.List(f.Nested(WarningAnswer), required=True)


class EstimateAnswer(ma.Schema):
    """Memory, performance and recommendation, beside the keys of a calculation."""

    class Meta:
        unknown = ma.INCLUDE

    calculation_type = f.String(required=True)
    model = f.Nested(ModelInfo, required=True)
    parameters = f.Dict(required=True)
    memory_requirements = f.Dict(required=True)
    memory_bytes = f.Dict(required=True)
    cluster_bytes = f.Dict(required=True)
    warnings = f.List(f.Nested(WarningAnswer), required=True)
    memory = f.Dict(required=True)
    performance = f.Dict(required=True, allow_none=True)
    recommendation = f.Dict(required=True)
