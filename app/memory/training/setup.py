"""From a request to what a step needs to know: everything but batch and length, made once and kept."""

from fractions import Fraction
from functools import lru_cache
from operator import attrgetter
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ...architecture import Architecture
from ...architecture.operations import Attention
from ...parallelism import Layout, Stage, check_layout
from ..requests import Lora, TrainingRequest
from ..weights import StoredModel
from .buffers import buffers
from .checks import check
from .choices import PATCHED
from .deepspeed import HostTerm
from .layers import Span, places
from .mode import COMPILED, CUDA_EAGER, LIGER, LITGPT, MEGATRON, TORCHTUNE, Adapters, Kernels, Mode
from .offloading import leaves, outside
from .pipeline import by_load, pipeline
from .plan import Behind, Plan, make_plan
from .recipes import ADAPTED, Recipe, recipe_of
from .resident import resident, stepping, trainable
from .sharding import Buffers, Sharding, layout_of, sharding_of

NARROW_ADAPTERS: Final = ("litgpt", "torchtune")
# Frameworks over transformers' own models, whose `gradient_checkpointing_enable` asks for gradients of the
# embedding's output, frozen or not (`enable_input_require_grads`).
OVER_TRANSFORMERS: Final = ("transformers", "deepspeed", "llama_factory", "unsloth")


class Step(Struct, frozen=True, eq=False):
    """One distinct rank's step: resident bytes, moments, buffers, and the optimizer's needs [bytes].

    `in_flight`: micro-batches whose activations are kept at once (pipelines).
    """

    stage: Stage
    ranks: int
    in_flight: Fraction
    recipe: Recipe
    sharding: Sharding
    plan: Plan
    buffers: Buffers
    weights: int
    states: int
    masters: int
    gradients: int
    step_temporary: int
    trainable: int
    outside: tuple[HostTerm, ...] = ()  # of one rank, activations aside


class Setup(Struct, frozen=True, eq=False):
    """A request without its sizes: the steps of all distinct ranks."""

    steps: tuple[Step, ...]
    recipe: Recipe
    layout: Layout
    trainable: int
    foreach: bool
    fused: bool


_FIELDS: Final = attrgetter(
    "model", "method", "lora", "trainable_parameters", "mixed_precision", "optimizer", "momentum",
    "optimizer_dtype", "gradient_dtype", "master_weights", "optimizer_foreach", "optimizer_fused",
    "gradient_accumulation_steps", "gradient_checkpointing", "attention", "checkpoint_every_n_layers",
    "objective", "pipeline_schedule", "pipeline_chunks", "galore_rank", "fused_cross_entropy",
    "use_liger_kernel", "compile", "framework", "zero_stage", "zero_optimization", "fsdp", "offload",
    "data_parallel", "tensor_parallel", "sequence_parallel", "pipeline_parallel", "context_parallel",
    "expert_parallel", "expert_imbalance", "gpus_per_node",
)  # fmt: skip


class Question:
    """A request as a key: two that differ only in batch and length have the same setup.

    `kernels` [those of the framework on a CUDA device] are given where something else is to be matched.
    """

    __slots__ = ("_hash", "_key", "kernels", "request")

    def __init__(self, request: TrainingRequest, kernels: Kernels | None = None) -> None:
        self.request = request
        self.kernels = kernels or kernels_of(request)
        length = request.sequence_length
        exceeded = frozenset(w for w in windows(request.model.architecture) if length >= w)
        self._key = (_FIELDS(request), self.kernels, request.sequences == 1, exceeded)
        self._hash = hash(self._key)

    @property
    def single(self) -> bool:
        """Whether a rank works on one sequence at a time."""
        return bool(self._key[2])

    @property
    def exceeded(self) -> frozenset[int]:
        """Windows that the sequence is longer than."""
        return self._key[3]

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Question) and self._key == other._key


@lru_cache(maxsize=1024)
def windows(architecture: Architecture) -> tuple[int, ...]:
    """The distinct windows and chunks of its attention layers."""
    reaches = {op.window or op.chunk for _, op in architecture.operations() if isinstance(op, Attention)}
    return tuple(sorted(reach for reach in reaches if reach))


@lru_cache(maxsize=256)
def set_up(question: Question) -> Setup:
    """Everything that does not depend on batch and length; raises `DomainError`."""
    request = question.request
    check(request)
    architecture = request.model.architecture
    recipe = recipe_of(request)
    layout = layout_of(request)
    check_layout(architecture, layout)
    foreach, fused = stepping(request)
    mode = mode_of(request, recipe, layout, question)
    steps = tuple(
        _step(request, recipe, layout, replace(mode, expert_imbalance=load), kind, ranks, span, in_flight)
        for stage, span, in_flight in pipeline(request, recipe.stored.sections)
        for kind, ranks, load in by_load(request, stage, layout)
    )
    return Setup(steps, recipe, layout, trainable(request, recipe, mode), foreach, fused)


def mode_of(request: TrainingRequest, recipe: Recipe, layout: Layout, question: Question) -> Mode:
    """How the forward pass runs."""
    return Mode(
        weight_item=recipe.local_item,
        compute_item=recipe.compute_item,
        autocast=recipe.autocast,
        narrow_products=request.mixed_precision == "fp8",
        attention=request.attention,
        kernels=question.kernels,
        single=question.single,
        exceeded=question.exceeded,
        checkpointing=recomputation(request),
        every=request.checkpoint_every_n_layers if request.gradient_checkpointing == "every_n" else 1,
        offloaded=request.offload.activations != "none",
        dequantizes=request.method == "qlora",
        objective=request.objective,
        reference=request.objective == "dpo",
        adapters=adapters_of(request),
        trained_from=first_trained(request.model.architecture, request.trainable_parameters),
        accumulating=request.gradient_accumulation_steps > 1 or recipe.buffered,
        fused_loss=fuses_loss(request),
        wide_loss=request.objective == "causal_lm"
        and request.model.architecture.notes.get("kind") not in ("encoder", "encoder_decoder"),
        leaf_inputs=request.gradient_checkpointing != "none" and request.framework in OVER_TRANSFORMERS,
        layout=layout,
        sequence_parallel=request.sequence_parallel,
    )


def fuses_loss(request: TrainingRequest) -> bool:
    """Whether the loss is computed without whole logits: as asked, as compiled torchtitan does, and over
    next tokens with Liger's kernels and Unsloth's (`unsloth_fused_ce_loss`)."""
    if request.fused_cross_entropy or (request.framework == "torchtitan" and request.compile):
        return True
    return request.objective == "causal_lm" and (brings_liger(request) or request.framework == "unsloth")


def brings_liger(request: TrainingRequest) -> bool:
    """Whether Liger's kernels take the place of transformers' own modules."""
    return request.use_liger_kernel and request.framework in PATCHED


def recomputation(request: TrainingRequest) -> str:
    """What is computed again; torchtitan's selective mode goes operation by operation."""
    chosen = "full" if request.gradient_checkpointing == "every_n" else request.gradient_checkpointing
    return "operations" if chosen == "selective" and request.framework == "torchtitan" else chosen


def kernels_of(request: TrainingRequest) -> Kernels:
    """The kernels that the framework brings."""
    own = {"megatron": MEGATRON, "unsloth": LIGER, "litgpt": LITGPT, "torchtune": TORCHTUNE}
    kernels = own.get(request.framework, LIGER if brings_liger(request) else CUDA_EAGER)
    if not request.compile:
        return kernels
    return replace(COMPILED, chunked_loss=kernels.chunked_loss or request.framework == "torchtitan")


def adapters_of(request: TrainingRequest) -> Adapters | None:
    """The adapters of the request: float32 as PEFT makes them, the weights' type in LitGPT and torchtune."""
    if request.method not in ADAPTED:
        return None
    lora = request.lora or Lora()
    item = 2 if request.framework in NARROW_ADAPTERS and request.mixed_precision == "none" else 4
    return Adapters(
        lora.rank, lora.dropout, item, lora.target_modules, request.method == "dora",
        request.model.architecture.model_type, lora.modules_to_save, lora.bias,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def first_trained(architecture: Architecture, percent: float) -> int:
    """The first layer that is trained when `percent` of the parameters are, the last ones first."""
    if percent >= 100:
        return 0
    wanted = architecture.parameters.total * percent / 100
    by_layer: dict[int, int] = {}
    for section in architecture.sections:
        size = sum(
            p.size for op in section.block.operations for p in op.parameters if not p.tied and not p.buffer
        )
        if section.component in ("norm", "head"):
            wanted -= size
        elif section.component == "decoder":
            by_layer.update(dict.fromkeys(section.indices, size))
    for index in sorted(by_layer, reverse=True):
        if wanted <= 0:
            return index + 1
        wanted -= by_layer[index]
    return 0 if wanted > 0 else min(by_layer, default=0)


@lru_cache(maxsize=512)
def plan_of(stored: StoredModel, span: Span, mode: Mode, behind: Behind) -> Plan:
    """The moments of one stage; optimizers and batch sizes share it."""
    return make_plan(tuple(places(stored.sections, mode, span)), mode, behind)


def _step(
    request: TrainingRequest,
    recipe: Recipe,
    layout: Layout,
    mode: Mode,
    stage: Stage,
    ranks: int,
    span: Span,
    in_flight: Fraction,
) -> Step:
    sharding = sharding_of(request)
    held = resident(request, recipe, layout, mode, sharding, stage)
    item = mode.adapters.item if mode.adapters else recipe.gradient_item
    of_item = mode.adapters.item if mode.adapters else mode.weight_item
    used, parts = recipe.local_item, sharding.gradients
    beside = buffers(request, sharding, stage, layout, used, item, held.trained, held.elements)
    gone = leaves(request, sharding)
    stays = 0 if "gradients" in gone else item
    behind = Behind(parts, stays, of_item, beside, sharding.of_experts(parts))
    stepped = "states" not in gone
    return Step(
        stage,
        ranks,
        in_flight,
        recipe,
        sharding,
        plan_of(recipe.stored, span, mode, behind),
        beside,
        0 if "weights" in gone else held.weights,
        held.states if stepped else 0,
        held.masters if stepped else 0,
        0 if "gradients" in gone else held.gradients,
        held.step_temporary if stepped else 0,
        held.trained,
        outside(request, sharding, stage, layout, held, used, recipe.gradient_item),
    )
