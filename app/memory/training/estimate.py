"""Training memory: a request set up, every rank's step followed, the peak named and taken apart."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ...messages import Message
from ..estimate import Estimate, Fit, Rank, Term
from ..optimizer import find
from ..requests import TrainingRequest
from .advice import advice
from .checks import notes
from .device import overhead
from .follow import Held, follow, outside
from .offloading import per_node
from .operations_count import forward_flops
from .setup import Question, Setup, Step, set_up
from .solve import solve

TOTAL: Final = "training_memory"
SOURCE: Final = "PyTorch autograd's save rules, read off tools/autograd/derivatives.yaml"


def estimate_training(request: TrainingRequest) -> Estimate:
    """What a training step needs at its peak on every distinct rank; with a `gpu`, whether it fits.

    Raises `DomainError`: `InvalidLayout`, `InvalidRequest`, `NotSupportedYet`.
    """
    question = Question(request)
    setup = set_up(question)
    ranks, timelines = [], []
    for step in setup.steps:
        phases = follow(step, request)
        peak = max(phases, key=lambda name: phases[name].total)
        ranks.append(Rank(step.stage.role, step.ranks, terms(step, request, phases[peak], peak)))
        timelines.append((phases, peak))
    order = sorted(range(len(ranks)), key=lambda index: -ranks[index].total)
    phases, peak = timelines[order[0]]
    found = tuple(ranks[index] for index in order)
    extra = _extra(question, setup, setup.steps[order[0]], phases, peak)
    return Estimate(
        TOTAL,
        found,
        (*notes(request), *paging(request, setup, found[0])),
        _fit(request, found[0]),
        _parameters(request, setup),
        extra,
    )


def paging(request: TrainingRequest, setup: Setup, fullest: Rank) -> Iterator[Message]:
    """A word on states in unified memory, which count with the GPU's until it runs short."""
    states = max(step.states for step in setup.steps)
    if find(request.optimizer).paged and states:
        yield Message("training_paged", {"states": states, "without": fullest.total - states})


def terms(step: Step, request: TrainingRequest, held: Held, peak: str) -> tuple[Term, ...]:
    """The parts of the peak."""
    recipe, size = step.recipe, {"batch_size": request.batch_size, "sequence_length": request.sequence_length}
    device = overhead(request, held.total)
    return (
        Term("model_weights", held.weights, "training_weights",
             {"dtype": recipe.weights, "parts": step.sharding.weights}, "sum of tensors"),
        Term("gradients", held.gradients, "training_gradients",
             {"trainable": step.trainable, "dtype": recipe.gradient_dtype, "phase": peak}, SOURCE),
        Term("optimizer_states", held.states, "training_states",
             {"optimizer": request.optimizer, "trainable": step.trainable, "master_bytes": step.masters},
             "app/memory/optimizer.py"),
        Term("activation_memory", held.activations, "training_activations", {**size, "phase": peak}, SOURCE),
        Term("temporary_buffers", held.temporary, "training_temporaries", {**size, "phase": peak}, SOURCE),
        Term("framework_overhead", device.bytes, "training_overhead", device.values, device.source,
             device.low, device.high),
    )  # fmt: skip


def _extra(
    question: Question, setup: Setup, step: Step, phases: Mapping[str, Held], peak: str
) -> dict[str, Any]:
    request = question.request
    architecture = request.model.architecture
    batch, length = request.batch_size, request.sequence_length
    forward, causal = forward_flops(architecture, batch, length)
    return {
        "trainable_parameters": setup.trainable,
        "peak_phase": peak,
        "peak_tensor_bytes": phases[peak].total,
        "maxima_bytes": {
            "model_weights": max(held.weights for held in phases.values()),
            "gradients": max(held.gradients for held in phases.values()),
            "optimizer_states": max(held.states for held in phases.values()),
            "activation_memory": max(held.activations for held in phases.values()),
            "temporary_buffers": max(held.temporary for held in phases.values()),
        },
        "timeline": [{"phase": name, "bytes": held.total} for name, held in phases.items()],
        "flops": {
            "forward": _whole(forward),
            "forward_causal": _whole(causal),
        },
        "global_batch_size": batch * request.data_parallel * request.gradient_accumulation_steps,
        **_per_node(request, setup),
        "advice": advice(question, peak, phases[peak].total),
    } | ({"solution": solve(request)} if request.solve_for else {})


def _per_node(request: TrainingRequest, setup: Setup) -> dict[str, Any]:
    """What one machine holds outside its GPUs, every rank on it holding what the fullest one does."""
    ranks = min(setup.layout.gpus * setup.layout.context, request.gpus_per_node)
    every = (outside(step, request) for step in setup.steps)
    return per_node(max(every, key=lambda terms: sum(term.bytes for term in terms)), ranks)


def _whole(count: int) -> int | float:
    """Floats where integers of 64 bits end."""
    return count if count < 2**63 else float(count)


def _parameters(request: TrainingRequest, setup: Setup) -> dict[str, Any]:
    recipe = setup.recipe
    return {
        "zero_stage": request.stage,
        "precision": recipe.weights,
        "gradient_dtype": recipe.gradient_dtype,
        "master_weights": recipe.master_item > 0,
        "optimizer_foreach": setup.foreach,
        "optimizer_fused": setup.fused,
    }


def _fit(request: TrainingRequest, fullest: Rank) -> Fit | None:
    if request.gpu is None:
        return None
    usable = request.gpu.memory_bytes_usable
    need = fullest.total
    return Fit(need <= usable, usable, usable, usable - need, need / usable)
