"""How a model is laid over ranks: tensor shards, pipeline stages, groups of experts.

Tensor parallelism cuts a parameter where its description says it can be cut (`Parameter.split`), pieces
being whole heads; key-value heads are shared by ranks when there are fewer heads than ranks. Pipeline
stages hold whole layers. Ranks that hold the same are one `Stage` with a count.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from math import prod
from typing import Final

from msgspec import Struct

from .architecture import Architecture
from .architecture.operations import Attention, Experts, Parameter, Part, Role
from .architecture.sections import Section
from .architecture.tensors import own_parameters
from .errors import InvalidLayout, Problem
from .messages import Message

VOCABULARY_MULTIPLE: Final = 64  # vLLM: DEFAULT_VOCAB_PADDING_SIZE in layers/vocab_parallel_embedding.py
ONCE_AT_THE_END: Final = ("norm", "head")
LISTED_SIZES: Final = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 96, 128)


class Layout(Struct, frozen=True):
    """Sizes of the parallel groups of one deployment.

    `experts_over_data`: expert weights are divided over data-parallel ranks too (vLLM's and SGLang's
    data-parallel attention), instead of every replica holding all of them.
    `expert_slices`: ranks that share one expert's matrices; 0 for as many as are left.
    """

    tensor: int = 1
    pipeline: int = 1
    data: int = 1
    expert: int = 1
    context: int = 1
    experts_over_data: bool = False
    expert_slices: int = 0

    @property
    def gpus(self) -> int:
        """Devices in the whole deployment."""
        return self.tensor * self.pipeline * self.data

    @property
    def expert_ranks(self) -> int:
        """Ranks that one stage's expert weights are divided over."""
        return self.tensor * self.data if self.experts_over_data or self.expert > self.tensor else self.tensor

    @property
    def expert_tensor(self) -> int:
        """Ranks that share one expert's matrices."""
        return self.expert_slices or max(1, self.expert_ranks // self.expert)


class Stage(Struct, frozen=True, eq=False):
    """One distinct pipeline stage: its sections with the places it holds, and how many stages are alike."""

    role: str
    sections: tuple[tuple[Section, int], ...]
    count: int
    first: bool
    last: bool

    @property
    def layers(self) -> int:
        """Decoder layers here."""
        return sum(places for section, places in self.sections if section.component == "decoder")


def balanced(layers: int, stages: int) -> list[int]:
    """Layers of each stage as vLLM deals them: the remainder goes to the stages before the last.

    vLLM `distributed/utils.py` `get_pp_indices`.

    >>> balanced(61, 4), balanced(5, 2)
    ([15, 15, 16, 15], [3, 2])
    """
    sizes = [layers // stages] * stages
    for back in range(2, layers % stages + 2):
        sizes[-back] += 1
    return sizes


def remainder_first(layers: int, stages: int) -> list[int]:
    """Layers of each stage where the remainder goes to the first stages (TensorRT-LLM).

    >>> remainder_first(61, 4)
    [16, 15, 15, 15]
    """
    return [layers // stages + (rank < layers % stages) for rank in range(stages)]


def remainder_last(layers: int, stages: int) -> list[int]:
    """Layers of each stage where the remainder goes to the last stages (SGLang `get_pp_indices`).

    >>> remainder_last(61, 4)
    [15, 15, 15, 16]
    """
    return remainder_first(layers, stages)[::-1]


Deal = Callable[[int, int], list[int]]


def stages(sections: tuple[Section, ...], count: int, deal: Deal = balanced) -> tuple[Stage, ...]:
    """The distinct stages of a pipeline of `count`, in order of the first of each kind."""
    if count == 1:
        return (Stage("all", tuple((section, section.count) for section in sections), 1, True, True),)
    found: dict[tuple[object, ...], Stage] = {}
    start = 0
    layers = sum(section.count for section in sections if section.component == "decoder")
    for rank, size in enumerate(deal(layers, count)):
        first, last = rank == 0, rank == count - 1
        held = tuple(_held(sections, start, start + size, first, last))
        key = (first, last, *((id(section), places) for section, places in held))
        before = found.get(key)
        role = (
            before.role if before else "first stage" if first else "last stage" if last else f"stage {rank}"
        )
        found[key] = Stage(role, held, before.count + 1 if before else 1, first, last)
        start += size
    return tuple(found.values())


def _held(
    sections: tuple[Section, ...], start: int, stop: int, first: bool, last: bool
) -> Iterator[tuple[Section, int]]:
    """Sections of decoder layers `start` to `stop`; embeddings first, norm and head last.

    A head that reuses the embedding's matrix needs a copy of it on the last stage
    (vLLM `models/llama.py`: embed_tokens is built on the first rank, and on the last one where tied).
    """
    tied = any(
        p.tied for s in sections if s.component == "head" for op in s.block.operations for p in op.parameters
    )
    for section in sections:
        if section.component == "decoder":
            places = sum(start <= index < stop for index in section.indices)
        elif section.component in ONCE_AT_THE_END:
            places = section.count if last else 0
        elif section.component == "embedding":
            places = section.count if first or (last and tied) else 0
        else:
            places = section.count if first else 0
        if places:
            yield section, places


def part_rows(part: Part, extent: int, ranks: int) -> int:
    """Rows of one part on the fullest rank; pieces are whole, and shared when there are too few."""
    size = part.size or extent
    if ranks == 1:
        return size
    piece = size // part.units if part.units else size
    if part.units >= ranks:
        return piece * -(-part.units // ranks)
    return piece if part.replicate else -(-size // ranks)


def padded_vocabulary(rows: int, multiple: int = VOCABULARY_MULTIPLE) -> int:
    """Rows of an embedding or head as runtimes pad them before cutting."""
    return -(-rows // multiple) * multiple


def is_vocabulary(parameter: Parameter, vocabulary: int) -> bool:
    """Whether this is a token embedding or the head (position tables are neither)."""
    return (
        parameter.role in (Role.EMBEDDING, Role.HEAD)
        and bool(vocabulary)
        and parameter.shape[0] == vocabulary
    )


def local_shape(
    parameter: Parameter, layout: Layout, vocabulary: int = 0, multiple: int = 1
) -> tuple[int, ...]:
    """The shape of a parameter on one rank; `vocabulary` > 0 asks for padded and cut embeddings."""
    if is_vocabulary(parameter, vocabulary):
        rows = padded_vocabulary(parameter.shape[0], multiple)
        return (-(-rows // layout.tensor), *parameter.shape[1:])
    shape = list(parameter.shape)
    ranks = layout.tensor
    if parameter.experts:
        shape[0] = -(-shape[0] // layout.expert)
        ranks = layout.expert_tensor
    split = parameter.split
    if split is not None and ranks > 1 and split.dim < len(shape):
        # a matrix stored input-major is cut where its module's [out, in] form would be
        dim = 1 - split.dim if parameter.transposed and len(shape) == 2 else split.dim
        shape[dim] = sum(part_rows(part, shape[dim], ranks) for part in split.parts)
    return tuple(shape)


def local_size(parameter: Parameter, layout: Layout, vocabulary: int = 0, multiple: int = 1) -> int:
    """Elements of a parameter on one rank."""
    return prod(local_shape(parameter, layout, vocabulary, multiple))


def kv_heads_per_rank(heads: int, tensor: int) -> int:
    """Key-value heads that one rank caches: shared when there are fewer than ranks.

    >>> kv_heads_per_rank(8, 4), kv_heads_per_rank(4, 8)
    (2, 1)
    """
    return max(1, -(-heads // tensor))


def divides(part: Part, ranks: int) -> bool:
    """Whether `ranks` can take whole pieces of this part."""
    return part.units % ranks == 0 or (part.replicate and ranks % part.units == 0)


def _takes_tensor(architecture: Architecture, ranks: int) -> bool:
    return all(
        divides(part, ranks)
        for section in architecture.sections
        if section.component == "decoder"
        for parameter in own_parameters(section)
        if parameter.split and not parameter.experts
        for part in parameter.split.parts
        if part.units > 1
    )


@lru_cache(maxsize=256)
def tensor_sizes(architecture: Architecture, most: int = LISTED_SIZES[-1]) -> tuple[int, ...]:
    """Tensor-parallel sizes that the model can take."""
    return tuple(ranks for ranks in LISTED_SIZES if ranks <= most and _takes_tensor(architecture, ranks))


def expert_counts(architecture: Architecture) -> set[int]:
    """The numbers of routed experts that layers have."""
    return {op.count for _, op in architecture.operations() if isinstance(op, Experts)}


@lru_cache(maxsize=4096)
def check_layout(architecture: Architecture, layout: Layout) -> None:
    """Raise `InvalidLayout` naming every size that the model cannot take, and those it can."""
    problems = []
    if layout.tensor > 1 and not _takes_tensor(architecture, layout.tensor):
        heads = max((op.heads for _, op in architecture.operations() if isinstance(op, Attention)), default=0)
        possible = ", ".join(map(str, tensor_sizes(architecture)))
        problems.append(
            _problem("tensor_parallel", "layout_tensor", value=layout.tensor, heads=heads, possible=possible)
        )
    if layout.pipeline > max(1, architecture.layers):
        problems.append(
            _problem(
                "pipeline_parallel", "layout_pipeline", value=layout.pipeline, layers=architecture.layers
            )
        )
    problems.extend(_expert_problems(architecture, layout))
    if problems:
        raise InvalidLayout(problems[0].message, problems)


def _expert_problems(architecture: Architecture, layout: Layout) -> Iterator[Problem]:
    if layout.expert == 1:
        return
    counts = expert_counts(architecture)
    if not counts:
        yield _problem("expert_parallel", "layout_no_experts", value=layout.expert)
        return
    ranks = layout.tensor * layout.data
    if ranks % layout.expert:
        possible = ", ".join(str(size) for size in range(1, ranks + 1) if ranks % size == 0)
        yield _problem(
            "expert_parallel", "layout_expert", value=layout.expert, ranks=ranks, possible=possible
        )
    elif layout.expert > min(counts):
        yield _problem("expert_parallel", "layout_few_experts", value=layout.expert, experts=min(counts))


def _problem(field: str, code: str, **params: object) -> Problem:
    return Problem(field, Message(code, {"field": field, **params}))
