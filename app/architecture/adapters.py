"""Reading: what low-rank adapters add, as PEFT chooses modules and makes matrices.

PEFT (arXiv 2106.09685; `peft/tuners/lora`): `all-linear` is every linear module except the output
head; a list matches a module whose path is, or ends in `.` and, a name of it. Bare parameters (stacked
experts, routers written as functions) are no modules and get no adapter.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .operations import Convolution, Embedding, Linear, Operation
from .sections import Section

Adaptable = Linear | Embedding | Convolution


@dataclass(frozen=True, slots=True)
class Target:
    """One distinct module that adapters attach to, and at how many places."""

    section: Section
    operation: Adaptable

    @property
    def count(self) -> int:
        """Places with parameters of their own."""
        return self.section.copies


def modules(sections: Iterable[Section]) -> Iterator[Target]:
    """Every module that an adapter could name, once however often a block calls it."""
    for section in sections:
        seen: set[str] = set()
        for op in section.block.operations:
            if isinstance(op, Linear | Embedding | Convolution) and _is_module(op) and op.name not in seen:
                seen.add(op.name)
                yield Target(section, op)


def _is_module(op: Operation) -> bool:
    return not isinstance(op, Linear) or op.module


def targets(sections: Iterable[Section], target_modules: str | Sequence[str]) -> list[Target]:
    """The modules that a choice names; `all-linear` or a list of names or path endings."""
    if isinstance(target_modules, str) and target_modules.lower() == "all-linear":
        return [t for t in modules(sections) if isinstance(t.operation, Linear) and not t.operation.head]
    names = [target_modules] if isinstance(target_modules, str) else target_modules
    return [t for t in modules(sections) if any(_matches(t, name) for name in names)]


def _matches(target: Target, name: str) -> bool:
    prefix = next(iter(target.section.prefixes()), "")
    path = f"{prefix}{target.operation.name}"
    return path == name or path.endswith(f".{name}")


def adapter_size(op: Adaptable, rank: int) -> int:
    """Elements of both matrices: rank x (in + out)."""
    match op:
        case Linear():
            return rank * (op.fan_in + op.fan_out)
        case Embedding():
            return rank * (op.rows + op.width)
        case Convolution():
            return rank * (op.channels_in // op.groups * op.kernel + op.channels_out)


def lora_parameters(
    sections: Iterable[Section], rank: int, target_modules: str | Sequence[str] = "all-linear"
) -> int:
    """Trainable parameters of adapters of `rank` on the chosen modules."""
    return sum(t.count * adapter_size(t.operation, rank) for t in targets(tuple(sections), target_modules))
