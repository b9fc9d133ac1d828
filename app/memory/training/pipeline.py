"""Pipeline stages: which blocks each holds, and how many micro-batches it keeps at once."""

from collections.abc import Iterator

from ...architecture.sections import Section
from ...parallelism import Stage, balanced, stages
from ..requests import TrainingRequest
from .layers import WHOLE, Span


def pipeline(request: TrainingRequest, sections: tuple[Section, ...]) -> Iterator[tuple[Stage, Span, int]]:
    """The stages in order; one forward, one backward, so that the first keeps most.

    Stage r of p keeps min(p - r, micro-batches) (arXiv 2104.04473, section 2.2.1).
    """
    size, micro_batches = request.pipeline_parallel, request.gradient_accumulation_steps
    if size == 1:
        yield stages(sections, 1)[0], WHOLE, 1
        return
    start = 0
    for rank, layers in enumerate(balanced(request.model.architecture.layers, size)):
        span = Span(start, start + layers, rank == 0, rank == size - 1)
        start += layers
        stage = Stage(f"stage {rank}", tuple(held_by(sections, span)), 1, span.first, span.last)
        yield stage, span, min(size - rank, micro_batches)


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
