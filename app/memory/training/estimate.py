"""Training memory: a request set up, every rank's step followed, the peak named and taken apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ...units import ceil_div
from ..estimate import Estimate, Fit, Rank, Term
from ..requests import TrainingRequest
from .device import overhead
from .plan import PHASES, Instant
from .setup import Question, Setup, Step, set_up
from .sizes import value

TOTAL: Final = "training_memory"
SOURCE: Final = "PyTorch autograd's save rules, read off tools/autograd/derivatives.yaml"


@dataclass(slots=True)
class Held:
    """What one rank holds at a moment [bytes]."""

    weights: int
    gradients: int
    states: int
    activations: int
    temporary: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.states + self.activations + self.temporary


def estimate_training(request: TrainingRequest) -> Estimate:
    """What a training step needs at its peak on every distinct rank; with a `gpu`, whether it fits.

    Raises `DomainError`: `InvalidLayout`, `InvalidRequest`, `NotSupportedYet`.
    """
    setup = set_up(Question(request))
    ranks, timelines = [], []
    for step in setup.steps:
        phases = follow(step, request)
        peak = max(phases, key=lambda name: phases[name].total)
        ranks.append(Rank(step.stage.role, step.ranks, terms(step, request, phases[peak], peak)))
        timelines.append((phases, peak))
    order = sorted(range(len(ranks)), key=lambda index: -ranks[index].total)
    phases, peak = timelines[order[0]]
    found = tuple(ranks[index] for index in order)
    extra = _extra(request, setup, setup.steps[order[0]], phases, peak)
    return Estimate(TOTAL, found, (), _fit(request, found[0]), _parameters(request, setup), extra)


def follow(step: Step, request: TrainingRequest) -> dict[str, Held]:
    """The largest moment of each phase."""
    batch = request.batch_size
    length = ceil_div(request.sequence_length, request.context_parallel)
    shard, extra = step.sharding, step.buffers
    weights = 0 if request.offload.parameters != "none" else ceil_div(step.weights, shard.weights)
    states = ceil_div(step.states + step.masters, shard.states)
    gradients = ceil_div(step.gradients, shard.gradients)
    waiting = gradients if request.gradient_accumulation_steps > 1 or step.recipe.buffered else 0
    resident = Held(
        weights, waiting, states, (step.in_flight - 1) * value(step.plan.kept, batch, length), extra.always
    )
    phases = {}
    for name in PHASES[:-1]:
        moments = step.plan.phase(name)
        if moments:
            buffered = extra.gathered + (extra.backward if name == "backward" else 0)
            phases[name] = _at_peak(moments, batch, length, resident, buffered)
    phases[PHASES[-1]] = Held(
        weights,
        gradients,
        states,
        value(step.plan.held, batch, length),
        ceil_div(step.step_temporary, shard.states) + extra.step + extra.always,
    )
    return phases


def _at_peak(moments: tuple[Instant, ...], batch: int, length: int, resident: Held, buffered: int) -> Held:
    """What is held at the largest of these moments."""
    best = max(moments, key=lambda moment: value(moment.total, batch, length))
    total, kept = value(best.total, batch, length), value(best.kept, batch, length)
    gradients = value(best.gradients, batch, length)
    return Held(
        resident.weights,
        resident.gradients + gradients,
        resident.states,
        resident.activations + kept,
        resident.temporary + buffered + total - kept - gradients,
    )


def terms(step: Step, request: TrainingRequest, held: Held, peak: str) -> tuple[Term, ...]:
    """The parts of the peak."""
    recipe, size = step.recipe, {"batch_size": request.batch_size, "sequence_length": request.sequence_length}
    device = overhead(request)
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
    request: TrainingRequest, setup: Setup, step: Step, phases: Mapping[str, Held], peak: str
) -> dict[str, Any]:
    architecture = request.model.architecture
    batch, length = request.batch_size, request.sequence_length
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
            "forward": _whole(architecture.forward_flops(batch, length)),
            "forward_causal": _whole(architecture.forward_flops(batch, length, causal=True)),
        },
        "global_batch_size": batch * request.data_parallel * request.gradient_accumulation_steps,
    }


def _whole(count: int) -> int | float:
    """Floats where integers of 64 bits end."""
    return count if count < 2**63 else float(count)


def _parameters(request: TrainingRequest, setup: Setup) -> dict[str, Any]:
    recipe = setup.recipe
    return {
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
