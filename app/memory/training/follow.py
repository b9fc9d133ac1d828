"""A step followed: the largest moment of each phase of one rank, taken apart."""

from fractions import Fraction
from math import ceil

from msgspec import Struct

from ...units import ceil_div
from ..requests import TrainingRequest
from .deepspeed import HostTerm
from .plan import PHASES, Instant
from .setup import Step
from .sizes import value


class Held(Struct):
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


def follow(step: Step, request: TrainingRequest) -> dict[str, Held]:
    """The largest moment of each phase."""
    batch = request.sequences
    length = ceil_div(request.sequence_length, request.context_parallel)
    weights, states, gradients = step.weights, step.states + step.masters, step.gradients
    extra = step.buffers
    waiting = gradients if request.gradient_accumulation_steps > 1 or step.recipe.buffered else 0
    beside = 0
    if request.pipeline_parallel > 1:
        beside = ceil(max(Fraction(0), step.in_flight - 1) * value(step.plan.kept, batch, length))
    resident = Held(weights, waiting, states, beside, extra.always)
    phases = {}
    for name in PHASES[:-1]:
        moments = step.plan.phase(name)
        if moments:
            phases[name] = _at_peak(moments, batch, length, resident)
    phases[PHASES[-1]] = Held(
        weights,
        gradients,
        states,
        value(step.plan.held, batch, length),
        step.step_temporary + extra.step + extra.always,
    )
    return phases


def outside(step: Step, request: TrainingRequest) -> tuple[HostTerm, ...]:
    """What one rank keeps outside its GPU."""
    if request.offload.activations == "none":
        return step.outside
    length = ceil_div(request.sequence_length, request.context_parallel)
    kept = ceil(step.in_flight * value(step.plan.host, request.sequences, length))
    activations = HostTerm("activations", kept, request.offload.activations, pinned=True)
    return (*step.outside, activations)


def _at_peak(moments: tuple[Instant, ...], batch: int, length: int, resident: Held) -> Held:
    """What is held at the largest of these moments."""
    totals = [value(moment.total, batch, length) for moment in moments]
    total = max(totals)
    best = moments[totals.index(total)]
    kept, gradients = value(best.kept, batch, length), value(best.gradients, batch, length)
    return Held(
        resident.weights,
        resident.gradients + gradients,
        resident.states,
        resident.activations + kept,
        resident.temporary + total - kept - gradients,
    )
