"""Training speed: a step's terms added up, what bounds it, and what it costs.

The form and what it does not solve: products over a roofline with efficiencies of the device's class, moved
bytes, launches, communication that is waited for, the pipeline's bubble. Errors on published runs are printed
by `scripts/accuracy_training_speed.py`.
"""

from collections.abc import Mapping
from typing import Final

from ..errors import invalid
from ..hardware import Accelerator
from ..memory import optimizer as optimizers
from ..memory.requests import Lora, TrainingRequest
from ..memory.training.recipes import Recipe, recipe_of
from ..memory.training.sharding import layout_of
from ..messages import Message
from ..parallelism import check_layout
from . import training_terms as terms
from .calibration import NONE
from .corrections import corrected_links, corrected_training
from .training_coefficients import Coefficients, DeviceClass, class_of
from .training_requests import StepTime, TrainingPerformance, TrainingSpeedRequest
from .training_terms import Links, Passes, Rates, Split
from .training_work import Work, work_of

ADAPTED: Final = ("lora", "qlora", "dora")
PCIE: Final = 32.0  # [GB/s in one direction] of PCIe 4.0 x16, where a device has no link of its own
CHUNKS: Final = 4  # of layers on a pipeline rank, where that is not said
UNMEASURED_BAND: Final = 1.6  # for a class of devices that no run was measured on
FALLBACKS: Final[Mapping[str, tuple[str, ...]]] = {
    "fp8": ("fp8", "bf16", "fp16", "fp32"),
    "bf16": ("bf16", "fp32"),
    "fp16": ("fp16", "bf16", "fp32"),
    "tf32": ("tf32", "fp32"),
    "fp32": ("fp32",),
}
_COMPUTE: Final = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32", "tf32": "tf32"}


def estimate_training_performance(
    request: TrainingSpeedRequest, coefficients: Coefficients | None = None
) -> TrainingPerformance:
    """Step time, rates, utilization and cost of a training run.

    `coefficients` [those of the device's class] are given where others are to be tried. Raises
    `InvalidRequest` without a device or without its peaks, `InvalidLayout`.
    """
    training = request.training
    gpu = _device(training)
    kind = class_of(gpu)
    recipe = recipe_of(training)
    warnings: list[Message] = []
    rates = rates_of(training, recipe, gpu, warnings)
    work = work_of(training.model.architecture, training.sequence_length)
    check_layout(training.model.architecture, layout_of(training))
    split = split_of(request, work)
    passes = passes_of(training, work)
    factors = request.calibration.on(gpu.name, training.framework) if request.calibration else NONE
    links = corrected_links(links_of(training, gpu, request.inter_node_gb_s or kind.network), factors)
    known = corrected_training(coefficients or kind.coefficients, factors)
    step = step_time(training, work, split, rates, links, passes, recipe, known)
    _doubts(training, kind, warnings)
    return _answer(request, gpu, kind, work, split, rates, passes, step, tuple(warnings))


def step_time(
    training: TrainingRequest, work: Work, split: Split, rates: Rates, links: Links, passes: Passes,
    recipe: Recipe, c: Coefficients,
) -> StepTime:  # fmt: skip
    """Where the milliseconds go."""
    eager = training.attention == "eager"
    compute = (
        terms.products(work, split, rates, c, passes)
        + terms.expert_products(work, split, rates, c, passes)
        + terms.attention(work, split, rates, c, passes, eager=eager)
    )
    memory = terms.moving(work, split, rates, c, passes)
    if training.method == "qlora":
        memory += terms.dequantizing(work, split, rates, passes)
    launches = terms.launching(work, split, c, passes)
    sums = terms.tensor_sums(work, split, links, c, passes) + terms.passing(work, split, links)
    routed = terms.routing(work, split, links)
    waited = c.tensor * sums + c.routed * routed
    busy = compute + memory + launches + waited
    gathered = terms.gathering(work, split, links, recipe.local_item) if _gathers(training) else 0.0
    exposed = _exposed(busy, gathered) + c.gathered * gathered
    trained, item = _trained(training, work), recipe.gradient_item
    reduced = 0.0 if _gathers(training) else terms.reducing(work, split, links, trained, item)
    stepping = c.optimizer * _optimizer_bytes(training, work, split, recipe) / rates.bandwidth
    count, micro = split.micro_batches, busy + exposed
    overhead = count * launches + c.step * terms.MILLI
    waits = count * (waited + exposed) + c.reduced * reduced
    idle = count * micro * terms.bubble(split)
    slowest = terms.straggling(split.gpus, c) * (count * micro + idle + stepping + c.reduced * reduced)
    whole = count * (sums + routed + gathered) + reduced
    return StepTime(
        compute=count * compute * 1e3,
        memory=(count * memory + stepping) * 1e3,
        communication=waits * 1e3,
        bubble=idle * 1e3,
        overhead=(overhead + slowest) * 1e3,
        overlapped=max(0.0, whole - waits) * 1e3,
    )


def rates_of(training: TrainingRequest, recipe: Recipe, gpu: Accelerator, warnings: list[Message]) -> Rates:
    """Datasheet peaks of the types that the recipe computes in; raises `InvalidRequest` where unknown."""
    wide = _COMPUTE[recipe.weights if recipe.weights in _COMPUTE else "bfloat16"]
    if training.mixed_precision != "none":
        wide = "fp16" if training.mixed_precision == "fp16" else "bf16"
    asked = "fp8" if training.mixed_precision == "fp8" else wide
    found = _peak(gpu, asked)
    if found[0] != asked:
        warnings.append(Message("training_speed_type", {"gpu": gpu.name, "dtype": asked, "used": found[0]}))
    if gpu.memory_bandwidth_gb_s is None:
        raise invalid("gpu.memory_bandwidth_gb_s", "training_speed_no_bandwidth", name=gpu.name)
    head = _peak(gpu, wide)[1]
    bandwidth = gpu.memory_bandwidth_gb_s * terms.GIGA
    return Rates(found[1], head, bandwidth, found[0] == "fp8")


def _peak(gpu: Accelerator, dtype: str) -> tuple[str, float]:
    """The first type of the list that the device has a figure for, and that figure [FLOP/s]."""
    for name in FALLBACKS[dtype]:
        if (tflops := gpu.peak_tflops(name)) is not None:
            return name, tflops * terms.TERA
    raise invalid("gpu.tflops", "training_speed_no_peak", name=gpu.name, dtype=dtype)


def split_of(request: TrainingSpeedRequest, work: Work) -> Split:
    """The layout and the sizes of one micro-batch."""
    t = request.training
    chunks = request.virtual_pipeline or min(CHUNKS, max(1, work.layers // t.pipeline_parallel))
    if t.framework != "megatron" and request.virtual_pipeline is None:
        chunks = 1
    tokens = t.batch_size * t.sequence_length / t.context_parallel
    return Split(
        t.tensor_parallel, t.pipeline_parallel, t.context_parallel, t.data_parallel, t.expert_parallel,
        tokens, t.gradient_accumulation_steps, chunks if t.pipeline_parallel > 1 else 1, t.expert_imbalance,
    )  # fmt: skip


def passes_of(training: TrainingRequest, work: Work) -> Passes:
    """Forward, recomputation and gradients; adapters need gradients of inputs, not of frozen weights."""
    every = {"full": 1, "every_n": training.checkpoint_every_n_layers}.get(training.gradient_checkpointing)
    again = 1 / every if every else 0.0
    attention = 1.0 if training.gradient_checkpointing == "selective" else again
    if training.method in ADAPTED:
        return Passes(again, attention, 1.0, _trained(training, work))
    share = training.trainable_parameters / 100
    return Passes(again * share, attention * share, share, share)


def links_of(training: TrainingRequest, gpu: Accelerator, network: float) -> Links:
    """What each group talks over; tensor ranks lie side by side, then context, data, pipeline."""
    tensor = training.tensor_parallel
    context = tensor * training.context_parallel
    own = gpu.interconnect_gb_s or PCIE
    domain = gpu.scale_up_domain or 1

    def link(span: int, apart: int) -> float:
        """A ring over `span` GPUs side by side, every `apart`th of them one of its members."""
        if span <= domain:
            return own * terms.GIGA
        if span <= training.gpus_per_node:
            return min(own, PCIE) * terms.GIGA
        sharing = max(1, max(domain, training.gpus_per_node) // apart)
        return min(own if domain > 1 else PCIE, network * sharing) * terms.GIGA

    experts = max(tensor, training.expert_parallel)
    return Links(
        link(tensor, 1),
        link(context, tensor),
        link(min(experts, domain), 1),
        link(context * training.data_parallel, context),
        (min(own, PCIE) if experts <= training.gpus_per_node else network) * terms.GIGA,
        -(-experts // domain),
    )


def _device(training: TrainingRequest) -> Accelerator:
    if training.gpu is None:
        raise invalid("gpu", "is_missing")
    return training.gpu


def _gathers(t: TrainingRequest) -> bool:
    return (t.fsdp != "none" or t.zero_stage == 3) and t.data_parallel * t.context_parallel > 1


def _exposed(busy: float, gathered: float) -> float:
    """What of gathering is waited for: the smooth maximum of both, less the work."""
    power = terms.SHARPNESS
    return float((busy**power + gathered**power) ** (1 / power)) - busy


def _trained(training: TrainingRequest, work: Work) -> float:
    """Trained parameters over all."""
    if training.method not in ADAPTED:
        return training.trainable_parameters / 100
    lora = training.lora or Lora()
    adapters = training.model.architecture.lora_parameters(lora.rank, lora.target_modules)
    return adapters / max(1, work.parameters)


def _optimizer_bytes(training: TrainingRequest, work: Work, split: Split, recipe: Recipe) -> float:
    """Bytes that the optimizer's step moves on one rank: states and masters read and written, gradients
    read, weights written."""
    chosen = optimizers.find(training.optimizer, training.momentum)
    shape = (4096, 4096)
    state = chosen.state(shape, optimizers.state_item(training.optimizer_dtype, recipe.weight_item))
    item = recipe.gradient_item + recipe.weight_item + 2 * (state / 4096**2 + recipe.master_item)
    dense, experts = terms.resident(work, split)
    sharded = training.fsdp != "none" or training.zero_stage > 0
    replicas = split.data * split.context
    expert_replicas = max(1.0, replicas * split.tensor / split.expert_ranks)
    held = dense / replicas + experts / expert_replicas if sharded else dense + experts
    return item * _trained(training, work) * held


def _doubts(training: TrainingRequest, kind: DeviceClass, warnings: list[Message]) -> None:
    if not kind.measured:
        warnings.append(Message("training_speed_unmeasured", {"class": kind.name}))
    if training.offload.optimizer != "none" or training.offload.parameters != "none":
        warnings.append(Message("training_speed_offload"))


def _answer(
    request: TrainingSpeedRequest, gpu: Accelerator, kind: DeviceClass, work: Work, split: Split,
    rates: Rates, passes: Passes, step: StepTime, warnings: tuple[Message, ...],
) -> TrainingPerformance:  # fmt: skip
    training = request.training
    tokens = training.batch_size * training.sequence_length * split.data * split.micro_batches
    seconds = step.total * terms.MILLI
    needed = _needed_flops(work, passes)
    done = work.products * passes.products + work.attention * passes.attention
    rate = tokens / seconds / split.gpus
    band = kind.band_experts if work.experts else kind.band
    duration = None if request.tokens is None else request.tokens / (rate * split.gpus)
    hours = None if duration is None else duration / 3600 * split.gpus
    price = gpu.price_per_hour
    known = kind.measured_experts if work.experts else kind.measured
    return TrainingPerformance(
        step=step,
        tokens_per_step=tokens,
        gpus=split.gpus,
        tflops_per_gpu=needed * rate / terms.TERA,
        mfu=needed * rate / rates.products,
        hfu=done * rate / rates.products,
        bottleneck=bottleneck(step),
        utilization={
            "compute": done * rate / rates.products,
            "memory_bandwidth": step.memory / step.total,
            "interconnect": min(1.0, (step.communication + step.overlapped) / step.total),
        },
        band=band if known else max(band, UNMEASURED_BAND),
        days=None if duration is None else duration / 86400,
        gpu_hours=hours,
        cost_usd=None if hours is None or price is None else hours * price,
        parameters={
            "virtual_pipeline": split.chunks,
            "inter_node_gb_s": request.inter_node_gb_s or kind.network,
        },
        warnings=warnings,
    )


def _needed_flops(work: Work, passes: Passes) -> float:
    """FLOPs that training on one token needs whatever is recomputed; attention under the causal mask."""
    return work.products * (1 + passes.inputs + passes.weights) + work.attention * (1 + 2 * passes.inputs)


def bottleneck(step: StepTime) -> str:
    """The largest part of a step."""
    parts = {
        "compute": step.compute,
        "memory_bandwidth": step.memory,
        "interconnect": step.communication,
        "overhead": step.overhead + step.bubble,
    }
    return max(parts, key=parts.__getitem__)
