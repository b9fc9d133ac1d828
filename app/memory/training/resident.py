"""What one rank holds from step to step, wherever it lies: weights, gradients, states, master weights."""

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from ...architecture import Architecture
from ...architecture.sections import Section
from ...parallelism import Layout, Stage
from ...units import ceil_div
from .. import optimizer as optimizers
from ..optimizer import Group
from ..requests import TrainingRequest
from ..weights import rank_weights
from .mode import Mode
from .recipes import ADAPTED, Recipe
from .sharding import Sharding
from .trained import adapter_groups, full_groups, merged

WIDE = 4  # bytes of an element of DeepSpeed's flat partitions
# Frameworks whose optimizer steps in one kernel: Apex/TE FusedAdam, torch's fused=True.
FUSED_STEP = ("megatron", "deepspeed", "torchtitan", "torchtune", "litgpt", "llama_factory", "unsloth")


class Resident(Struct, frozen=True):
    """One rank's part of each [bytes], `elements` of which are trained here.

    `trained`: elements with gradients before data-parallel sharding, `of_experts` of them in routed experts.
    """

    weights: int
    gradients: int
    states: int
    masters: int
    step_temporary: int
    elements: int
    trained: int
    of_experts: int


def resident(
    request: TrainingRequest, recipe: Recipe, layout: Layout, mode: Mode, sharding: Sharding, stage: Stage
) -> Resident:
    """What one rank of a stage holds."""
    architecture = request.model.architecture
    groups = groups_of(recipe, layout, mode, stage.sections, architecture.vocab_size)
    experts = tuple(group for group in groups if group.expert)
    share = trained_share(request)
    chosen = optimizers.find(request.optimizer, request.momentum, request.galore_rank)

    def divided(parts: int, sized: Callable[[Sequence[Group]], float]) -> int:
        return sharding.divided(parts, round(sized(groups) * share), round(sized(experts) * share))

    def gradients(held: Sequence[Group]) -> int:
        adapted = mode.adapters is not None
        return sum(g.count * g.elements * (g.item if adapted else recipe.gradient_item) for g in held)

    def states(held: Sequence[Group]) -> int:
        return optimizers.state_bytes(chosen, held, request.optimizer_dtype)

    own = divided(sharding.states, elements_of)
    return Resident(
        _weights(request, recipe, layout, mode, sharding, stage, groups),
        divided(sharding.gradients, gradients),
        divided(sharding.states, states),
        divided(sharding.states, lambda held: elements_of(held) * recipe.master_item),
        _step_temporary(request, sharding, chosen, groups, share, own),
        own,
        round(elements_of(groups) * share),
        round(elements_of(experts) * share),
    )


def trainable(request: TrainingRequest, recipe: Recipe, mode: Mode) -> int:
    """Trained elements of the whole model, however it is laid out."""
    held = tuple((section, section.count) for section in recipe.stored.sections)
    return round(elements_of(groups_of(recipe, Layout(), mode, held, 0)) * trained_share(request))


def elements_of(groups: Iterable[Group]) -> int:
    """Elements of all tensors of these groups."""
    return sum(group.count * group.elements for group in groups)


def groups_of(
    recipe: Recipe, layout: Layout, mode: Mode, held: Sequence[tuple[Section, int]], vocabulary: int
) -> tuple[Group, ...]:
    """The tensors that are trained: adapters, else everything."""
    if mode.adapters is not None:
        return merged(adapter_groups(held, mode.adapters, recipe.weight_item))
    return merged(full_groups(held, layout, recipe.weight_item, vocabulary))


def trained_share(request: TrainingRequest) -> float:
    """Trained elements over those of the description: a percentage, a size that was asked for."""
    architecture: Architecture = request.model.architecture
    if request.method in ADAPTED:
        return 1.0
    share = request.trainable_parameters / 100
    if request.model.size_billions is not None:
        share *= request.model.size_billions * 1e9 / architecture.parameters.total
    return share


def stepping(request: TrainingRequest) -> tuple[bool, bool]:
    """Whether the optimizer steps over lists, or in one kernel: as asked, else as the framework does."""
    fused = request.optimizer_fused
    if fused is None:
        fused = request.optimizer_foreach is None and request.framework in FUSED_STEP
    foreach = request.optimizer_foreach if request.optimizer_foreach is not None else not fused
    return foreach and not fused, fused


def _weights(
    request: TrainingRequest, recipe: Recipe, layout: Layout, mode: Mode, sharding: Sharding, stage: Stage,
    groups: Sequence[Group],
) -> int:  # fmt: skip
    """Stored weights with the adapters' own and a reference model's."""
    held = rank_weights(recipe.stored, layout, stage)
    whole, of_experts = held.exact, held.of_experts
    if mode.adapters is not None:
        whole += sum(g.count * g.elements * g.item for g in groups if not g.in_place)
    elif request.objective == "dpo":
        whole, of_experts = 2 * whole, 2 * of_experts
    return sharding.divided(sharding.weights, whole, of_experts)


def _step_temporary(
    request: TrainingRequest, sharding: Sharding, chosen: optimizers.Optimizer, groups: tuple[Group, ...],
    share: float, own: int,
) -> int:  # fmt: skip
    """Bytes of the step besides; ZeRO-3 steps one flat float32 sub-group after the other."""
    foreach, fused = stepping(request)
    stepped = tuple(replace(g, item=optimizers.state_item(request.optimizer_dtype, g.item)) for g in groups)
    if sharding.name == "zero3":
        flat = Group((min(own, request.zero_optimization.sub_group_size),), 1, WIDE)
        return optimizers.step_temporaries(chosen, (flat,), foreach=foreach, fused=fused)
    whole = optimizers.step_temporaries(chosen, stepped, foreach=foreach, fused=fused)
    return ceil_div(round(whole * share), sharding.states)
