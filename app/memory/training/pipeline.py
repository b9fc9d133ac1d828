"""Pipeline stages: which blocks each holds, how many micro-batches it keeps at once, and how much its experts
get."""

from collections.abc import Iterator
from fractions import Fraction

from ...architecture.sections import Section
from ...parallelism import Layout, Stage, balanced, stages
from ..requests import TrainingRequest
from .layers import WHOLE, Span


def pipeline(
    request: TrainingRequest, sections: tuple[Section, ...]
) -> Iterator[tuple[Stage, Span, Fraction]]:
    """The stages in order, each with the micro-batches whose activations it keeps at once."""
    size = request.pipeline_parallel
    if size == 1:
        yield stages(sections, 1)[0], WHOLE, Fraction(1)
        return
    start = 0
    for rank, layers in enumerate(balanced(request.model.architecture.layers, size)):
        span = Span(start, start + layers, rank == 0, rank == size - 1)
        start += layers
        stage = Stage(f"stage {rank}", tuple(held_by(sections, span)), 1, span.first, span.last)
        yield stage, span, in_flight(request, rank)


def by_load(request: TrainingRequest, stage: Stage, layout: Layout) -> Iterator[tuple[Stage, int, float]]:
    """The ranks of a stage by the rows that their experts get, over the mean: with an imbalance one of each
    group of expert ranks is the fullest, and the others share what is left."""
    every, groups = stage.count * layout.tensor * layout.data * layout.context, layout.expert
    load = request.expert_imbalance
    if groups == 1 or load == 1:
        yield stage, every, 1.0
        return
    head = "" if stage.role == "all" else f"{stage.role}, "
    held = stage.sections, stage.count, stage.first, stage.last
    yield Stage(f"{head}fullest expert rank", *held), every // groups, load
    rest = every - every // groups
    yield Stage(f"{head}other expert ranks", *held), rest, (groups - load) / (groups - 1)


def in_flight(request: TrainingRequest, rank: int) -> Fraction:
    """Micro-batches of a stage's activations that are alive at once.

    GPipe (arXiv 1811.06965) keeps all; one forward, one backward keeps p - r on stage r of p (arXiv
    2104.04473, section 2.2.1); interleaved with v chunks 2 (p - r - 1) + (v - 1) p + 1 chunks (Megatron's
    warm-up); ZB-H1 as many as the first stage of 1F1B, on every stage (arXiv 2401.10241).
    """
    size, micro_batches = request.pipeline_parallel, request.gradient_accumulation_steps
    match request.pipeline_schedule:
        case "gpipe":
            return Fraction(micro_batches)
        case "zero_bubble":
            return Fraction(min(size, micro_batches))
        case "interleaved":
            chunks = request.pipeline_chunks
            alive = 2 * (size - rank - 1) + (chunks - 1) * size + 1
            return Fraction(min(alive, micro_batches * chunks), chunks)
        case _:
            return Fraction(min(size - rank, micro_batches))


def held_by(sections: tuple[Section, ...], span: Span) -> Iterator[tuple[Section, int]]:
    """The blocks of a stage with their places; a tied head needs a copy of the embedding's matrix."""
    tied = has_tied_head(sections)
    for section in sections:
        if section.component == "embedding" and tied and span.last:
            yield section, section.count
            continue
        indices = section.indices if "{}" in section.template else (None,)
        count = sum(span.holds(section, index) for index in indices)
        if count:
            yield section, count


def has_tied_head(sections: tuple[Section, ...]) -> bool:
    """Whether the head reuses the embedding."""
    heads = (section for section in sections if section.component == "head")
    return any(
        parameter.tied for head in heads for op in head.block.operations for parameter in op.parameters
    )
