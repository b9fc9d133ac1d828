"""A training step as moments: what is alive above the resident state, phase by phase.

A plan is made once per architecture, stage and mode; an estimate at any batch and length is then the
largest of a handful of polynomials. Totals are `what earlier blocks keep + this block's own moment +
gradients of the blocks behind`, pruned to the moments that some batch and length could make the peak.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ...architecture.operations import Attention, Axis, Linear, Rotary
from ...architecture.sections import Section
from .layers import Cost, Place, measure, undominated
from .loss import measure_head
from .lowering import rows_of
from .mode import Mode
from .pipeline import has_tied_head
from .sharding import NO_BUFFERS, Buffers
from .sizes import PAIRS, SEQUENCE, SQUARE, TOKENS, Coefficients, coefficients, share
from .tape import Moment

PHASES: Final = ("forward", "loss", "backward", "optimizer_step")
IDS: Final = 16 * TOKENS  # int64 tokens and labels, alive through the whole step


class Instant(Struct, frozen=True):
    """A moment with its polynomials unpacked: all bytes, bytes that autograd keeps, gradient bytes."""

    total: Coefficients
    kept: Coefficients
    gradients: Coefficients


class Plan(Struct, frozen=True):
    """Moments of each phase; `held` stays to the end of the step, `kept` is what all blocks keep, `host`
    what they keep in host memory."""

    forward: tuple[Instant, ...]
    loss: tuple[Instant, ...]
    backward: tuple[Instant, ...]
    held: Coefficients
    kept: Coefficients
    host: Coefficients

    def phase(self, name: str) -> tuple[Instant, ...]:
        """The moments of one phase."""
        return {"forward": self.forward, "loss": self.loss, "backward": self.backward}[name]


class Behind(Struct, frozen=True):
    """What sharding changes: gradients of finished blocks are divided over ranks and kept in another type,
    and buffers stand beside."""

    parts: int = 1
    item: int = 1
    of_item: int = 1
    buffers: Buffers = NO_BUFFERS
    expert_parts: int = 1

    def size(self, cost: Cost) -> int:
        """Bytes that stay of a block's gradients."""
        if self.expert_parts == self.parts:
            return share(cost.gradients, self.parts) * self.item // self.of_item
        dense = share(cost.gradients - cost.of_experts, self.parts)
        return (dense + share(cost.of_experts, self.expert_parts)) * self.item // self.of_item

    def beside(self, section: Section) -> tuple[int, int]:
        """Bytes of buffers while this block runs forward, and backward."""
        if "{}" in section.template:
            return self.buffers.layer_forward, self.buffers.layer_backward
        return self.buffers.other_forward, self.buffers.other_backward


AS_MADE: Final = Behind()


def make_plan(rows: Sequence[Place], mode: Mode, behind: Behind = AS_MADE) -> Plan:
    """The moments of one step of these blocks."""
    costs = _costs(rows, mode)
    sections = tuple(place.section for place in rows)
    source = _source(sections, mode)
    base = IDS + _tables(sections, mode) + source
    held = max((cost.held for cost in costs), default=0)
    forward: list[Moment] = []
    loss: list[Moment] = []
    backward: list[Moment] = []
    alive = 0 if mode.offloaded else 1
    before, ends, tied = _running(costs, base, alive), _ends(costs), has_tied_head(sections)
    done = 0
    for index in reversed(range(len(costs))):
        cost, start = costs[index], before[index]
        if index in ends:
            after_head = held if not cost.held else 0
            copies = sum(earlier.cached for earlier in costs[: index + 1])
            before_it, after_it = behind.beside(sections[index])
            forward.extend(_moved(cost.forward, start, 0, copies + before_it))
            loss.extend(_moved(cost.losing, start, 0, copies + before_it))
            loss.extend(_moved(cost.loss, start, 0, after_it))
            if sections[index].component == "embedding":
                start = IDS
                backward.extend(_meeting(cost, start + held, done) if tied else ())
            summed = source if sections[index].component == "decoder" else 0  # the gradient of `source`
            backward.extend(_moved(cost.backward, start + after_head, done, after_it + summed))
        done += behind.size(cost)
    return Plan(
        _instants(forward),
        _instants(loss),
        _instants(backward),
        coefficients(held + 2 * sum(cost.leaf for cost in costs) + IDS),
        coefficients(sum(alive * cost.kept for cost in costs) + base),
        coefficients(sum(cost.kept for cost in costs) if mode.offloaded else 0),
    )


def _costs(rows: Sequence[Place], mode: Mode) -> list[Cost]:
    """Each distinct block measured once."""
    known: dict[tuple[object, ...], Cost] = {}
    costs: list[Cost] = []
    entering: int | None = None
    kept = replace(mode, checkpointing="none")
    # Some heads come in several sections: a buffer, a dense layer with its norm, then what makes the logits.
    logits = next((p.section for p in reversed(rows) if p.section.component == "head"), None)
    for place in rows:
        key = (id(place.section), place.trained, place.reached, entering, place.recomputed)
        if key not in known:
            read = measure_head if place.section is logits else measure
            known[key] = read(place, mode if place.recomputed else kept, entering)
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


def _running(costs: Sequence[Cost], base: int, alive: int) -> list[int]:
    """What is kept on the device before each block; nothing of other blocks if it is not `alive` there."""
    totals = []
    for cost in costs:
        totals.append(base)
        base += alive * cost.kept
    return totals


def _moved(moments: Sequence[Moment], start: int, gradients: int, copies: int = 0) -> list[Moment]:
    """Moments of a block where it stands: `start` is kept before it, `copies` and buffers stand beside."""
    return [
        Moment(m.total + start + gradients + copies, m.kept + start, m.gradients + gradients) for m in moments
    ]


def _meeting(cost: Cost, start: int, behind: int) -> list[Moment]:
    """The two gradients of a tied matrix and their sum, all alive at once."""
    both = behind + cost.gradients
    return [Moment(start + both + cost.gradients, start, both)]


def _instants(moments: Sequence[Moment]) -> tuple[Instant, ...]:
    return tuple(
        Instant(coefficients(m.total), coefficients(m.kept), coefficients(m.gradients))
        for m in undominated(moments)
    )


def _source(sections: Sequence[Section], mode: Mode) -> int:
    """The encoder's output, which every cross-attention reads."""
    widths = (
        tensor.width
        for section in sections
        if section.component == "decoder"
        for op in section.block.operations
        for tensor in op.inputs
        if tensor.axis is Axis.SOURCE and isinstance(op, Linear)
    )
    item = mode.weight_item if mode.autocast else mode.compute_item
    return max(widths, default=0) * item * rows_of(Axis.SOURCE)


def _tables(sections: Sequence[Section], mode: Mode) -> int:
    """Cosines and sines of rotary positions, shared by all layers; what checkpointed layers are handed."""
    item = mode.weight_item if mode.autocast else mode.compute_item
    widths = {
        op.rotary_dim for section in sections for op in section.block.operations if isinstance(op, Rotary)
    }
    tables = 2 * sum(widths) * item * SEQUENCE
    if mode.checkpointing not in ("full", "operations"):
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
