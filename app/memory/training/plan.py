"""A training step as moments: what is alive above the resident state, phase by phase.

A plan is made once per architecture, stage and mode; an estimate at any batch and length is then the
largest of a handful of polynomials. Totals are `what earlier blocks keep + this block's own moment +
gradients of the blocks behind`, pruned to the moments that some batch and length could make the peak.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ...architecture.operations import Attention, Rotary
from ...architecture.sections import Section
from .layers import Cost, Place, measure, places, undominated
from .loss import measure_head
from .mode import Mode
from .sizes import PAIRS, SEQUENCE, SQUARE, TOKENS, Coefficients, coefficients, share
from .tape import Moment

PHASES: Final = ("forward", "loss", "backward", "optimizer_step")
IDS: Final = 16 * TOKENS  # int64 tokens and labels, alive through the whole step


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment with its polynomials unpacked: all bytes, bytes that autograd keeps, gradient bytes."""

    total: Coefficients
    kept: Coefficients
    gradients: Coefficients


@dataclass(frozen=True, slots=True)
class Plan:
    """Moments of each phase; `held` stays to the end of the step."""

    forward: tuple[Instant, ...]
    loss: tuple[Instant, ...]
    backward: tuple[Instant, ...]
    held: Coefficients
    largest_kept: Coefficients

    def phase(self, name: str) -> tuple[Instant, ...]:
        """The moments of one phase."""
        return {"forward": self.forward, "loss": self.loss, "backward": self.backward}[name]


def make_plan(sections: Sequence[Section], mode: Mode, gradient_parts: int = 1) -> Plan:
    """The moments of one step of these sections; gradients behind are divided by `gradient_parts`."""
    rows = list(places(sections, mode))
    costs = _costs(rows, mode)
    base = IDS + _tables(sections, mode)
    held = max((cost.held for cost in costs), default=0)
    forward: list[Moment] = []
    loss: list[Moment] = []
    backward: list[Moment] = []
    before = _running(costs, base)
    ends = _ends(costs)
    behind = 0
    tied = _tied(sections)
    for index in reversed(range(len(costs))):
        cost, start = costs[index], before[index]
        if index in ends:
            after_head = held if not cost.held else 0
            forward.extend(_moved(cost.forward, start, 0))
            loss.extend(_moved(cost.loss, start, 0))
            if rows[index].section.component == "embedding":
                start = IDS
                backward.extend(_meeting(cost, start + held, behind) if tied else ())
            backward.extend(_moved(cost.backward, start + after_head, behind, kept=start + held))
        behind += share(cost.gradients, gradient_parts)
    return Plan(
        _instants(forward),
        _instants(loss),
        _instants(backward),
        coefficients(held + IDS),
        coefficients(sum(cost.kept for cost in costs) + base + held),
    )


def _tied(sections: Sequence[Section]) -> bool:
    """Whether the head reuses the embedding: their gradients meet, and are added out of place."""
    return any(
        parameter.tied
        for section in sections
        if section.component == "head"
        for op in section.block.operations
        for parameter in op.parameters
    )


def _costs(rows: Sequence[Place], mode: Mode) -> list[Cost]:
    """Each distinct block measured once."""
    known: dict[tuple[object, ...], Cost] = {}
    costs: list[Cost] = []
    entering: int | None = None
    for place in rows:
        key = (id(place.section), place.trained, place.reached, entering)
        if key not in known:
            read = measure_head if place.section.component == "head" else measure
            known[key] = read(place, mode, entering)
        costs.append(known[key])
        entering = known[key].leaving
    return costs


def _ends(costs: Sequence[Cost]) -> set[int]:
    """The first and last place of each distinct block: totals are linear in the layer between them."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for index, cost in enumerate(costs):
        first.setdefault(id(cost), index)
        last[id(cost)] = index
    return {*first.values(), *last.values()}


def _running(costs: Sequence[Cost], base: int) -> list[int]:
    """What is kept before each block."""
    totals = []
    for cost in costs:
        totals.append(base)
        base += cost.kept
    return totals


def _moved(moments: Sequence[Moment], start: int, gradients: int, kept: int | None = None) -> list[Moment]:
    inside = start if kept is None else kept
    return [Moment(m.total + start + gradients, m.kept + inside, m.gradients + gradients) for m in moments]


def _meeting(cost: Cost, start: int, behind: int) -> list[Moment]:
    """The two gradients of a tied matrix and their sum, all alive at once."""
    both = behind + cost.gradients
    return [Moment(start + both + cost.gradients, start, both)]


def _instants(moments: Sequence[Moment]) -> tuple[Instant, ...]:
    return tuple(
        Instant(coefficients(m.total), coefficients(m.kept), coefficients(m.gradients))
        for m in undominated(moments)
    )


def _tables(sections: Sequence[Section], mode: Mode) -> int:
    """Cosines and sines of rotary positions, shared by all layers; what checkpointed layers are handed."""
    item = mode.weight_item if mode.autocast else mode.compute_item
    widths = {
        op.rotary_dim for section in sections for op in section.block.operations if isinstance(op, Rotary)
    }
    tables = 2 * sum(widths) * item * SEQUENCE
    if mode.checkpointing != "full":
        return tables
    return tables + 8 * SEQUENCE + _masks(sections, mode)


def _masks(sections: Sequence[Section], mode: Mode) -> int:
    """The distinct masks of all attention layers: bits in bytes for SDPA, additive for eager code."""
    item = mode.weight_item if mode.autocast else mode.compute_item
    cores = [op for section in sections for op in section.block.operations if isinstance(op, Attention)]
    if mode.attention == "eager":
        return len({op.window or op.chunk for op in cores if op.causal}) * item * PAIRS
    if mode.attention != "sdpa":
        return 0
    reaches = {op.window or op.chunk for op in cores}
    return sum(mode.kernels.mask or reach in mode.exceeded for reach in reaches) * SQUARE
