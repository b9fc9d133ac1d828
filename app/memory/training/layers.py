"""What each block of a model keeps and needs, read once per architecture and mode.

A block's cost is relative to what stands before it: bytes kept when its forward has run, moments of its
forward and of its backward, and the gradients of its parameters that stay.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from ...architecture.operations import Axis
from ...architecture.sections import Section
from . import attention, elementwise, experts, linears, norms, scans  # noqa: F401  (sign up their rules)
from .lowering import Lowering, is_saved
from .mode import Adapters, Mode
from .sizes import coefficients, dominates
from .tape import Moment, Walk

OF_PICTURES: Final = frozenset({Axis.PATCHES, Axis.IMAGES, Axis.IMAGE_TOKENS, Axis.SPOKEN})


class Cost(Struct, frozen=True):
    """One block's needs [packed bytes]."""

    kept: int
    gradients: int
    forward: tuple[Moment, ...]
    backward: tuple[Moment, ...]
    held: int = 0  # bytes that stay alive from here to the end of the step (logits)
    loss: tuple[Moment, ...] = ()
    losing: tuple[Moment, ...] = ()  # the loss going forward
    cached: int = 0  # 16-bit copies of weights that autocast keeps to the end of the forward pass
    leaving: int | None = None  # bytes per element of its output
    of_experts: int = 0  # of the gradients, those of routed experts
    leaf: int = 0  # an output that stays, with its gradient as large, until the graph is dropped


class Place(Struct, frozen=True):
    """One block where it stands in the model: `trained` its weights, `reached` by a gradient from before,
    `recomputed` where the mode recomputes at all."""

    section: Section
    trained: bool
    reached: bool
    recomputed: bool = True


class Span(Struct, frozen=True):
    """The layers `start` to `stop` of a pipeline stage; the first one embeds, the last one has the head."""

    start: int = 0
    stop: int = 2**31
    first: bool = True
    last: bool = True

    def holds(self, section: Section, layer: int | None) -> bool:
        """Whether a block stands in this stage."""
        if section.component == "decoder" and layer is not None:
            return self.start <= layer < self.stop
        return self.last if section.component in ("norm", "head") else self.first


WHOLE = Span()


def places(sections: Sequence[Section], mode: Mode, span: Span = WHOLE) -> Iterator[Place]:
    """Every block in the order in which it runs; layers of a stack by their index."""
    reached = not span.first and mode.adapters is None and span.start > mode.trained_from
    reached = reached or (not span.first and mode.adapters is not None)
    text = {id(section) for section in sections if is_text(section)}
    for layer, section in enumerate_layers(sections):
        if not span.holds(section, layer) or id(section) not in text:
            continue
        trained = mode.adapters is None and is_trained(section, layer, mode)
        yield Place(section, trained, reached, layer is None or layer % mode.every == 0)
        adapted = mode.adapters is not None and ("{}" in section.template or saves(section, mode.adapters))
        leaf = mode.leaf_inputs and section.component == "embedding"
        reached = reached or trained or adapted or leaf


def saves(section: Section, settings: Adapters) -> bool:
    """Whether a module trained in full stands in this block."""
    return any(is_saved(p, settings) for op in section.block.operations for p in op.parameters)


def is_text(section: Section) -> bool:
    """Whether a block works on text; towers and their projectors stand still in batches of text alone."""
    used = (tensor for op in section.block.operations for tensor in (*op.inputs, *op.outputs))
    return section.needs is None and not any(
        tensor.axis in OF_PICTURES for tensor in (*section.block.inputs, *used)
    )


def is_trained(section: Section, layer: int | None, mode: Mode) -> bool:
    """Whether a block's weights are trained when layers before `trained_from` are frozen."""
    if layer is not None:
        return layer >= mode.trained_from
    return mode.trained_from == 0 or section.component in ("norm", "head")


def enumerate_layers(sections: Sequence[Section]) -> Iterator[tuple[int | None, Section]]:
    """Sections in running order with the layer's number; None outside stacks."""
    position = 0
    while position < len(sections):
        section = sections[position]
        if "{}" not in section.template:
            yield None, section
            position += 1
            continue
        end = position
        while end < len(sections) and sections[end].template == section.template:
            end += 1
        stack = [(index, part) for part in sections[position:end] for index in part.indices]
        yield from sorted(stack, key=lambda pair: pair[0])
        position = end


def measure(place: Place, mode: Mode, entering: int | None = None) -> Cost:
    """The cost of one block."""
    low = Lowering(place.section, mode, trained=place.trained, reached=place.reached, entering=entering)
    tape = low.run()
    walk = Walk(tape, mode.kernels.in_place, mode.accumulating)
    for value in tape.inputs:
        walk.hold(value.storage)
    walk.forward()
    forward = undominated(walk.moments)
    for value in tape.inputs:
        walk.drop(value.storage)
    if tape.output is not None and tape.output.storage.refs:
        walk.drop(tape.output.storage)
    kept = walk.kept
    walk.moments = []
    walk.start_backward()
    walk.backward()
    leaving = tape.output.item if tape.output is not None else entering
    cached = low.cached if mode.checkpointing in ("full", "operations") else 0
    leaf = mode.leaf_inputs and place.section.component == "embedding" and not place.trained
    stays = tape.output.size if tape.output is not None and leaf else 0
    return Cost(
        kept, walk.leaves, forward, undominated(walk.moments), cached=cached, leaving=leaving,
        of_experts=0 if mode.accumulating else low.of_experts, leaf=stays,
    )  # fmt: skip


def undominated(moments: Sequence[Moment]) -> tuple[Moment, ...]:
    """The moments that some batch and length could make the largest."""
    best = {moment.total: moment for moment in moments}
    parts = {total: coefficients(total) for total in best}
    kept: list[Moment] = []
    for total in sorted(best, key=lambda total: sum(parts[total]), reverse=True):
        if not any(dominates(parts[other.total], parts[total]) for other in kept):
            kept.append(best[total])
    return tuple(kept)
