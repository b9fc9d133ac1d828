"""What answers look like; published, and what the tests hold every answer against.

Handlers give ready responses, so nothing here runs while serving.
"""

from typing import Any

import marshmallow as ma
from marshmallow import fields as f


class Answer(ma.Schema):
    """Answers may gain keys; those named here stay."""

    class Meta:
        unknown = ma.INCLUDE


def _required(description: str = "") -> dict[str, Any]:
    return {"required": True, "metadata": {"description": description}}


def _sizes(description: str) -> f.Dict:
    return f.Dict(keys=f.String(), values=f.Integer(), **_required(description))


class HealthAnswer(Answer):
    """Whether the service runs."""

    status = f.String(**_required("ok, or unavailable"))
    timestamp = f.String(**_required("Now, UTC."))
    version = f.String(**_required())
    uptime = f.Float(**_required("[s]"))
    failures = f.List(f.String())


class WarningAnswer(Answer):
    """Something to know about an answer."""

    code = f.String(**_required("Stable name."))
    message = f.String(**_required("One sentence, in the language asked for."))
    params = f.Dict(**_required("The values in the sentence."))


class ModelCounts(Answer):
    """Parameters of a model."""

    total = f.Integer(**_required())
    active = f.Integer(**_required("Used by one token."))
    trainable = f.Integer()


class ModelInfo(Answer):
    """The model that an answer is about."""

    name = f.String(**_required())
    model_type = f.String(**_required())
    parameters = f.Nested(ModelCounts, required=True)


class RankAnswer(Answer):
    """GPUs that hold the same."""

    role = f.String(**_required())
    gpus = f.Integer(**_required("How many of them there are."))
    memory_bytes = _sizes("Of one of them.")


class TermAnswer(Answer):
    """Where one term comes from."""

    term = f.String(**_required())
    formula = f.String(**_required())
    values = f.Dict(**_required("What was put into the formula."))
    bytes = f.Integer(**_required())
    source = f.String(**_required())


class FitAnswer(Answer):
    """Whether one GPU holds it [bytes]."""

    fits = f.Boolean(**_required())
    usable_bytes = f.Integer(**_required())
    budget_bytes = f.Integer(**_required())
    free_bytes = f.Integer(**_required())
    utilization = f.Float(**_required("Need over usable."))


class MemoryAnswer(Answer):
    """The answer of a calculation of memory."""

    calculation_type = f.String(**_required())
    model = f.Nested(ModelInfo, required=True)
    parameters = f.Dict(**_required("The request with every default resolved."))
    memory_requirements = f.Dict(keys=f.String(), values=f.String(), **_required("The same for people."))
    memory_bytes = _sizes("For one GPU, the fullest rank.")
    cluster_bytes = _sizes("The same keys summed over all GPUs.")
    per_gpu = f.List(f.Nested(RankAnswer), **_required("Each distinct rank."))
    explanation = f.List(f.Nested(TermAnswer), metadata={"description": "Left out with explain: false."})
    warnings = f.List(f.Nested(WarningAnswer), required=True)
    memory_range_bytes = f.Dict(metadata={"description": "Same keys, each with low and high."})
    fit = f.Nested(FitAnswer)


class InferenceAnswer(MemoryAnswer):
    """Memory of serving."""

    minimum_bytes = f.Dict(keys=f.String(), values=f.Integer())
    capacity = f.Dict()
    images = f.Dict(metadata={"description": "Tokens and patches of a picture, tokens of a sequence's."})


class TrainingAnswer(MemoryAnswer):
    """Memory of training."""

    peak_tensor_bytes = f.Integer()
    maxima_bytes = f.Dict(keys=f.String(), values=f.Integer())
    timeline = f.List(f.Dict())
    peak_phase = f.String()
    global_batch_size = f.Integer()
    cpu_bytes_per_node = f.Integer(metadata={"description": "Host memory of one machine."})
    pinned_bytes_per_node = f.Integer(metadata={"description": "Of it, page-locked."})
    nvme_bytes_per_node = f.Integer(metadata={"description": "Files of ZeRO-Infinity."})
    offloaded = f.List(
        f.Dict(), metadata={"description": "By term: where it lies, of one GPU and one machine."}
    )
    flops = f.Dict()


class OperationAnswer(Answer):
    """One operation in one phase, over all its places."""

    operation = f.String(**_required())
    phase = f.String(**_required("prefill or decode"))
    count = f.Integer(**_required("How often it runs in a step."))
    flops = f.Float(**_required("Of one step on one GPU."))
    bytes = f.Float(**_required("Read and written."))
    communication_bytes = f.Float(**_required("Sent."))
    ms = f.Float(**_required("Of one step."))
    share = f.Float(**_required("Of the time of a request."))
    bound = f.String(**_required("compute, memory_bandwidth, interconnect or overhead"))


class SpeedAnswer(MemoryAnswer):
    """Speed of serving, with its memory."""

    ttft_ms = f.Float(**_required("To the first token."))
    tpot_ms = f.Float(**_required("Per output token."))
    itl_ms = f.Float(**_required("Between tokens."))
    e2e_latency_ms = f.Float(**_required("Of a whole request."))
    percentiles = f.Dict(required=True, allow_none=True, metadata={"description": "null when static."})
    saturation = f.Float(required=True, allow_none=True, metadata={"description": "null when static."})
    throughput_tokens_per_sec = f.Float(**_required("Input and output."))
    output_tokens_per_sec = f.Float(**_required())
    requests_per_sec = f.Float(**_required())
    bottleneck = f.String(**_required("compute, memory_bandwidth, interconnect or overhead"))
    time_shares = f.Dict(keys=f.String(), values=f.Float(), **_required("Of the time, by what bounds it."))
    utilization = f.Dict(keys=f.String(), values=f.Float(), **_required("Of the datasheet's figures."))
    cost_per_million_tokens = f.Float(required=True, allow_none=True)
    cost_per_million_output_tokens = f.Float(required=True, allow_none=True)
    performance_range = f.Dict(**_required("90% band of each figure: low and high."))
    operations = f.List(f.Nested(OperationAnswer), **_required("The longest first."))
    definitions = f.Dict(metadata={"description": "What each figure means; left out with explain: false."})


class TrainingSpeedAnswer(TrainingAnswer):
    """Speed of training, with its memory."""

    tokens_per_sec_per_gpu = f.Float(**_required("Of one GPU."))
    tokens_per_sec = f.Float(**_required("Over all GPUs."))
    step_ms = f.Float(**_required("One optimizer step."))
    mfu = f.Float(**_required("FLOPs that are needed over the peak, 0 to 1."))
    hfu = f.Float(**_required("FLOPs that are done over the peak, 0 to 1."))
    tflops_per_gpu = f.Float(**_required("Needed FLOPs done each second [10^12]."))
    days = f.Float(required=True, allow_none=True)
    gpu_hours = f.Float(required=True, allow_none=True)
    cost_usd = f.Float(required=True, allow_none=True)
    bottleneck = f.String(**_required("compute, memory_bandwidth, interconnect or overhead"))
    breakdown_ms = f.Dict(keys=f.String(), values=f.Float(), **_required("Where a step goes."))
    utilization = f.Dict(**_required("compute, memory_bandwidth, interconnect, memory_capacity."))
    performance_range = f.Dict(**_required("90% band of each figure: low and high."))
    definitions = f.Dict(metadata={"description": "What each figure means; left out with explain: false."})


class CompareSpeedAnswer(Answer):
    """Answers or errors in order, and which is fastest."""

    calculation_type = f.String(**_required())
    results = f.List(f.Dict(), **_required("Each an answer or an error."))
    summary = f.Dict(**_required("by, smallest, largest and the main figures side by side."))


class DifferenceAnswer(Answer):
    """One field that varies."""

    field = f.String(**_required())
    values = f.List(
        f.Raw(allow_none=True), **_required("In each configuration; null where it failed or is unset.")
    )
    bytes = f.Dict(**_required("By component: what changing this field alone makes, against the first."))


class SummaryAnswer(Answer):
    """How the configurations compare."""

    by = f.String(**_required("What they are ordered by."))
    smallest = f.Integer(required=True, allow_none=True, metadata={"description": "Its position, from zero."})
    largest = f.Integer(required=True, allow_none=True, metadata={"description": "Its position, from zero."})
    differences = f.List(f.Nested(DifferenceAnswer), required=True)


class CompareAnswer(Answer):
    """Answers or errors in order, and how they differ."""

    calculation_type = f.String(**_required())
    results = f.List(f.Dict(), **_required("Each an answer or an error."))
    summary = f.Nested(SummaryAnswer, required=True)


class ModelAnswer(Answer):
    """Everything known of a model."""

    name = f.String(**_required())
    repo_id = f.String(required=True, allow_none=True)
    model_type = f.String(**_required())
    config = f.Dict(**_required())
    parameters = f.Dict(**_required("total, active, embedding, by_component."))
    cache_bytes_per_token = f.Integer(**_required("In bfloat16."))
    checkpoint_bytes = f.Integer(required=True, allow_none=True)
    context_length = f.Integer(required=True, allow_none=True)
    license = f.String(required=True, allow_none=True)
    source = f.String(**_required())
    layers = f.List(f.Dict(), **_required("Distinct layers and how often each occurs."))
    warnings = f.List(f.Nested(WarningAnswer), required=True)
    tensors = f.List(f.Dict())
    tensors_total = f.Integer()
    tensors_offset = f.Integer()
    gguf = f.Dict(metadata={"description": "Of a GGUF file: files, types with their bytes, metadata."})


class ModelLine(Answer):
    """One model of a listing."""

    name = f.String(**_required())
    repo_id = f.String(required=True, allow_none=True)
    model_type = f.String(required=True, allow_none=True)
    parameters = f.Integer(required=True, allow_none=True)


class ModelsAnswer(Answer):
    """A listing of models."""

    models = f.List(f.Nested(ModelLine), required=True)
    total = f.Integer(**_required("Before limit and offset."))


class GpuAnswer(Answer):
    """One accelerator."""

    name = f.String(**_required())
    label = f.String(**_required())
    vendor = f.String(**_required())
    device_type = f.String(**_required())
    memory_gb = f.Float(required=True, allow_none=True)
    memory_bandwidth_gb_s = f.Float(required=True, allow_none=True)
    tflops = f.Dict(**_required("Dense, by data type."))


class GpusAnswer(Answer):
    """A listing of accelerators."""

    gpus = f.List(f.Nested(GpuAnswer), required=True)
    total = f.Integer(**_required())


class OptionsAnswer(Answer):
    """Enumerated fields by calculation."""

    inference = f.Dict(**_required())
    training = f.Dict(**_required())
    recommend = f.Dict(**_required())
    performance = f.Dict(**_required("What a request for speed has beside."))


class LogTermAnswer(Answer):
    """One figure of a log beside ours; null where we predict none."""

    term = f.String(**_required("Its name, sizes in GiB."))
    measured = f.Float(**_required())
    predicted = f.Float(allow_none=True, **_required())
    difference = f.Float(allow_none=True, **_required("Predicted less measured."))
    error = f.Float(allow_none=True, **_required("Predicted over measured, less one."))


class LogAnswer(Answer):
    """What a log says, and what we say."""

    backend = f.String(**_required("The runtime whose log it is."))
    model = f.String(**_required("The model as the registry names it."))
    parameters = f.Dict(**_required("The question that the log answers."))
    measured = f.Dict(keys=f.String(), values=f.Float(), **_required("Every figure that was read."))
    terms = f.List(f.Nested(LogTermAnswer), **_required())
    warnings = f.List(f.Nested(WarningAnswer), **_required())


class AccuracyAnswer(Answer):
    """Our error on published measurements."""

    in_sample = f.List(f.Dict(), **_required("By runtime and term: rows that were in view of a rule."))
    left_out = f.List(f.Dict(), **_required("The same for rows that were not."))
    by_kind = f.List(f.Dict(), **_required("By runtime, term and kind of architecture."))
    rows = f.List(f.Dict(), **_required("Every figure with its source."))
    not_compared = f.List(f.Dict(), **_required("Runs that could not be asked, and why."))
    speed = f.Dict(**_required("Errors of speeds: in the fit's sample, device and source left out."))


class SettingAnswer(Answer):
    """One setting."""

    name = f.String(**_required())
    variable = f.String(**_required("Environment variable."))
    default = f.String(**_required("As written; empty is none."))
    help = f.String(**_required())
    secret = f.Boolean(**_required())
    value = f.Raw(**_required("Of a secret, set or unset."))


class SettingsAnswer(Answer):
    """What the service runs with."""

    settings = f.List(f.Nested(SettingAnswer), required=True)
