"""Reading: the tensors of a model, name by name, and their counts."""

from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from operator import mul

from msgspec import Struct

from .operations import Experts, Parameter, Role
from .sections import Section


class TensorSpec(Struct, frozen=True):
    """A tensor as the module has it; `is_parameter` False for a persistent buffer."""

    name: str
    shape: tuple[int, ...]
    role: Role
    dtype: str | None
    is_parameter: bool

    @property
    def size(self) -> int:
        """Elements."""
        return reduce(mul, self.shape, 1)


class ParameterCount(Struct, frozen=True):
    """Parameters, a tied matrix once: all, those a token uses, the embedding's, by component."""

    total: int
    active: int
    embedding: int
    by_component: Mapping[str, int]


def own_parameters(section: Section) -> Iterator[Parameter]:
    """Parameters and buffers that the section's block owns, each once."""
    seen: set[str] = set()
    for operation in section.block.operations:
        for parameter in operation.parameters:
            if not parameter.tied and parameter.name not in seen:
                seen.add(parameter.name)
                yield parameter


def tensors(sections: Iterable[Section]) -> Iterator[TensorSpec]:
    """Every tensor, in module naming, tied copies once."""
    for section in sections:
        owned = list(own_parameters(section))
        for prefix in section.prefixes():
            for p in owned:
                yield TensorSpec(prefix + p.name, p.shape, p.role, p.dtype, not p.buffer)


def count(sections: Iterable[Section]) -> ParameterCount:
    """Parameters in total, active per token, in the embedding and by component."""
    by_component: dict[str, int] = {}
    idle = embedding = 0
    for section in sections:
        size = sum(p.size for p in own_parameters(section) if not p.buffer) * section.copies
        by_component[section.component] = by_component.get(section.component, 0) + size
        idle += _idle(section) * section.copies
        if section.component == "embedding":
            embedding += section.copies * sum(
                p.size for p in own_parameters(section) if p.role is Role.EMBEDDING
            )
    total = sum(by_component.values())
    return ParameterCount(total, total - idle, embedding, by_component)


def _idle(section: Section) -> int:
    """Parameters of routed experts that a token does not use."""
    return sum(
        p.size // op.count * (op.count - op.top_k)
        for op in section.block.operations
        if isinstance(op, Experts)
        for p in op.parameters
        if p.experts
    )
