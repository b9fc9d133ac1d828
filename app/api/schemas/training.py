"""The request of `POST /api/memory/training`; defaults are those of the question itself."""

from collections.abc import Mapping
from typing import Any, ClassVar

from ...errors import Problem
from ...memory.requests import Lora, Offload, TrainingRequest, ZeroOptimization
from ...messages import Message
from .. import choices
from .base import Rule, StrictSchema
from .defaults import default_of
from .fields import Boolean, Choice, Integer, Nested, Number, Switch, TextOrObject, Texts
from .inference import PresentationSchema
from .model import LARGEST_BATCH, LONGEST, MOST_GPUS, ModelSchema

_default = default_of(TrainingRequest)
_lora = default_of(Lora)
_offload = default_of(Offload)
_zero = default_of(ZeroOptimization)

MOST_ELEMENTS = 10**15  # "sub_group_size": 1e15 stands for no bound in many a configuration


def gpus_agree(data: Mapping[str, Any], prefix: str) -> Problem | None:
    """`num_gpus` is DP x TP x PP x CP, or stands for `data_parallel`."""
    parts = ("data_parallel", "tensor_parallel", "pipeline_parallel", "context_parallel")
    counts = [data.get(part, 1) for part in parts]
    total = data.get("num_gpus")
    if total is None or not all(type(count) is int and count > 0 for count in (total, *counts)):
        return None
    model_parallel = counts[1] * counts[2] * counts[3]
    expected = model_parallel * counts[0]
    if total == expected or ("data_parallel" not in data and total % model_parallel == 0):
        return None
    field = prefix + "num_gpus"
    return Problem(field, Message("gpus_disagree", {"field": field, "given": total, "expected": expected}))


class LoraSchema(StrictSchema):
    """Low-rank adapters as PEFT makes them."""

    rank = Integer("Rank.", most=2**16, default=_lora("rank"))
    alpha = Integer("Scale; changes no size.", most=2**20, default=_lora("alpha"))
    dropout = Number("Dropout before the adapter.", least=0, most=1, default=_lora("dropout"))
    target_modules = Texts(
        "all-linear, or names of modules.", word="all-linear", default=_lora("target_modules")
    )
    modules_to_save = Texts("Modules trained in full.", default=_lora("modules_to_save"))
    bias = Choice("Which biases are trained.", of=choices.LORA_BIASES, default=_lora("bias"))
    loraplus_lr_ratio = Number(
        "LoRA+: one matrix's learning rate over the other's; changes no size.",
        above=0,
        most=10**6,
        default=_lora("loraplus_lr_ratio"),
    )


class OffloadSchema(StrictSchema):
    """Where things live that the GPU does not hold."""

    optimizer = Choice("Optimizer states.", of=choices.OFFLOADS, default=_offload("optimizer"))
    parameters = Choice("Weights.", of=choices.OFFLOADS, default=_offload("parameters"))
    activations = Choice("Saved activations.", of=choices.OFFLOADS, default=_offload("activations"))


class ZeroOptimizationSchema(StrictSchema):
    """Sizes of DeepSpeed's configuration, in elements."""

    reduce_bucket_size = Integer(
        "Gradients reduced at a time.", most=MOST_ELEMENTS, default=_zero("reduce_bucket_size")
    )
    stage3_prefetch_bucket_size = Integer(
        "Weights gathered ahead.", least=0, most=MOST_ELEMENTS, default=_zero("stage3_prefetch_bucket_size")
    )
    stage3_max_live_parameters = Integer(
        "Weights on the GPU above which none are gathered ahead.",
        least=0,
        most=MOST_ELEMENTS,
        default=_zero("stage3_max_live_parameters"),
    )
    stage3_max_reuse_distance = Integer(
        "Weights that are used again within this distance stay.",
        least=0,
        most=MOST_ELEMENTS,
        default=_zero("stage3_max_reuse_distance"),
    )
    stage3_param_persistence_threshold = Integer(
        "Tensors up to this size are never divided.",
        least=0,
        most=MOST_ELEMENTS,
        default=_zero("stage3_param_persistence_threshold"),
    )
    sub_group_size = Integer(
        "Weights stepped at a time, of one rank.", most=MOST_ELEMENTS, default=_zero("sub_group_size")
    )
    max_in_cpu = Integer(
        "With parameters on nvme: weights that stay in host memory.",
        least=0,
        most=MOST_ELEMENTS,
        default=_zero("max_in_cpu"),
    )
    param_buffer_count = Integer(
        "With parameters on nvme: buffers.", most=MOST_ELEMENTS, default=_zero("param_buffer_count")
    )
    param_buffer_size = Integer(
        "With parameters on nvme: size of a buffer [10^8, or the largest tensor's share].",
        most=MOST_ELEMENTS,
        default=_zero("param_buffer_size"),
    )
    optimizer_buffer_count = Integer(
        "With the optimizer on nvme: buffers, each of a sub-group.",
        most=MOST_ELEMENTS,
        default=_zero("optimizer_buffer_count"),
    )


class TrainingSchema(ModelSchema, PresentationSchema):
    """What is trained, by which recipe, and on what."""

    rules: ClassVar[tuple[Rule, ...]] = (*ModelSchema.rules, gpus_agree)

    method = Choice("What is trained.", of=choices.METHODS, default=_default("method"))
    lora = Nested(LoraSchema, "With lora, qlora and dora: the adapters.", default=None)
    trainable_parameters = Number(
        "Percentage of parameters trained, last layers first; with full and freeze.",
        above=0,
        most=100,
        default=_default("trainable_parameters"),
    )
    mixed_precision = Choice("Autocast.", of=choices.MIXED_PRECISIONS, default=_default("mixed_precision"))
    optimizer = Choice("Optimizer.", of=choices.OPTIMIZERS, default=_default("optimizer"))
    momentum = Number("With SGD.", least=0, most=1, default=_default("momentum"))
    galore_rank = Integer(
        "With GaLore: the rank of projected gradients.", most=2**16, default=_default("galore_rank")
    )
    optimizer_dtype = Choice(
        "Data type of its states; auto is what it allocates itself.",
        of=choices.OPTIMIZER_DTYPES,
        default=_default("optimizer_dtype"),
    )
    gradient_dtype = Choice(
        "Data type of gradients [as the recipe].", of=choices.GRADIENT_DTYPES, default=None
    )
    master_weights = Boolean("Whether float32 copies of the weights are kept [as the recipe].", default=None)
    optimizer_foreach = Boolean("Step over lists of tensors [the optimizer's default].", default=None)
    optimizer_fused = Boolean("Step in one kernel [the optimizer's default].", default=None)
    gradient_accumulation_steps = Integer(
        "Micro-batches in a step.", most=LARGEST_BATCH, default=_default("gradient_accumulation_steps")
    )
    batch_size = Integer(
        "Micro-batch of one data-parallel rank.", most=LARGEST_BATCH, default=_default("batch_size")
    )
    sequence_length = Integer("Tokens of a sequence.", most=LONGEST, default=_default("sequence_length"))
    gradient_checkpointing = Switch(
        "What is recomputed; true is full.",
        of=choices.CHECKPOINTINGS,
        true="full",
        false="none",
        default=_default("gradient_checkpointing"),
    )
    checkpoint_every_n_layers = Integer(
        "With every_n: every how manieth layer is recomputed.",
        most=2**16,
        default=_default("checkpoint_every_n_layers"),
    )
    objective = Choice(
        "What is learned; dpo holds a frozen reference model beside (none with adapters), orpo none.",
        of=choices.OBJECTIVES,
        default=_default("objective"),
    )
    attention = Choice(
        "Attention implementation.", of=choices.TRAINING_ATTENTIONS, default=_default("attention")
    )
    fused_cross_entropy = Boolean("Loss without whole logits.", default=_default("fused_cross_entropy"))
    use_liger_kernel = Boolean(
        "Liger's norms, rotary positions, gates and fused loss in place of transformers' own.",
        default=_default("use_liger_kernel"),
    )
    compile = Boolean("torch.compile.", default=_default("compile"))
    framework = Choice("Training framework.", of=choices.FRAMEWORKS, default=_default("framework"))
    zero_stage = Integer("DeepSpeed ZeRO stage.", least=0, most=3, default=_default("zero_stage"))
    zero_optimization = Nested(ZeroOptimizationSchema, "With zero_stage: sizes of DeepSpeed's buffers.")
    fsdp = Switch(
        "Fully sharded; true is FSDP2.", of=choices.FSDP, true="fsdp2", false="none", default=_default("fsdp")
    )
    offload = Nested(OffloadSchema, "Where states, weights and activations live.")
    num_gpus = Integer("DP x TP x PP x CP; may stand for data_parallel.", most=MOST_GPUS)
    data_parallel = Integer("Replicas.", most=MOST_GPUS, default=_default("data_parallel"))
    tensor_parallel = Integer(
        "GPUs that share each matrix.", most=MOST_GPUS, default=_default("tensor_parallel")
    )
    sequence_parallel = Boolean("Norms split over the tensor group.", default=_default("sequence_parallel"))
    pipeline_parallel = Integer("Stages of layers.", most=MOST_GPUS, default=_default("pipeline_parallel"))
    pipeline_schedule = Choice(
        "Order of a pipeline's micro-batches.", of=choices.SCHEDULES, default=_default("pipeline_schedule")
    )
    pipeline_chunks = Integer(
        "With interleaved: stages of layers on each rank.", most=2**10, default=_default("pipeline_chunks")
    )
    context_parallel = Integer(
        "Shares of the sequence.", most=MOST_GPUS, default=_default("context_parallel")
    )
    expert_parallel = Integer("Groups of experts.", most=MOST_GPUS, default=_default("expert_parallel"))
    expert_imbalance = Number(
        "With expert_parallel: tokens of the fullest rank over the mean; a capacity factor bounds it.",
        least=1,
        most=MOST_GPUS,
        default=_default("expert_imbalance"),
    )
    gpu = TextOrObject("A name, or an object whose fields override the named one's.", default=_default("gpu"))
    gpus_per_node = Integer("GPUs in a machine.", most=MOST_GPUS, default=_default("gpus_per_node"))
    solve_for = Choice(
        "A question to solve beside.", of=choices.TRAINING_QUESTIONS, default=_default("solve_for")
    )
