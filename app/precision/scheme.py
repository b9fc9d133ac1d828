"""Schemes: which parameters of a model a format is put to, and what the rest stays.

    scheme = schemes.get("gptq").on(architecture)
    for section in scheme.sections(architecture):
        for op, parameter in quantities(section):
            for tensor in scheme.stored(section, op, parameter, parameter.shape): ...

A section whose layers are treated alike stays one section: `sections` cuts the others at the layers that
differ, so that one answer holds for all places of a section and multiplicity stays symbolic.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol, Self

from msgspec import Struct
from msgspec.structs import replace

from ..architecture import Architecture
from ..architecture.operations import Experts, Linear, Operation, Parameter, Role
from ..architecture.sections import Section
from ..messages import Message
from .formats import Format, Stored, matrix_of, plain
from .patterns import Patterns

# Parts of a model that weight-only tools for language models leave alone.
TOWERS = frozenset({"vision", "audio", "talker", "projector", "vision_tower", "audio_tower", "multimodal"})


class Scheme(Protocol):
    """How a model's parameters are stored. Immutable; `on` ties it to a model where it needs to know one."""

    @property
    def name(self) -> str:
        """What the quantization is called."""
        ...

    @property
    def wide(self) -> str:
        """The data type of what is not quantized."""
        ...

    @property
    def warnings(self) -> tuple[Message, ...]:
        """What was assumed."""
        ...

    @property
    def stacked(self) -> bool:
        """Whether files of this scheme keep experts stacked."""
        ...

    def on(self, architecture: Architecture) -> "Scheme":
        """The scheme for this model."""
        ...

    def widened(self, dtype: str) -> "Scheme":
        """The same with another data type for what is not quantized."""
        ...

    def sections(self, architecture: Architecture) -> tuple[Section, ...]:
        """The model's sections, cut where the scheme treats layers of one section differently."""
        ...

    def covers(self, section: Section, op: Operation, parameter: Parameter) -> bool:
        """Whether the parameter is quantized at the first place of this section."""
        ...

    def stored(
        self, section: Section, op: Operation, parameter: Parameter, shape: tuple[int, ...]
    ) -> tuple[Stored, ...]:
        """The tensors that the parameter, of this (possibly sharded) shape, becomes; one in the wide
        data type when it is not covered."""
        ...


def quantities(section: Section) -> Iterator[tuple[Operation, Parameter]]:
    """The parameters that a section owns, each once, with the operation that uses it."""
    return section.quantities()


def wide_dtype(parameter: Parameter, wide: str) -> str:
    """What a parameter that is not quantized is stored in: its own fixed data type, else the model's."""
    return parameter.dtype or wide


@dataclass(frozen=True)
class Plain:
    """Nothing quantized: every parameter in one data type, but those that fix their own."""

    wide: str = "bfloat16"
    name: str = "none"
    warnings: tuple[Message, ...] = field(default=(), compare=False)

    @property
    def stacked(self) -> bool:
        """No: experts stand as their lineage publishes them."""
        return False

    def on(self, architecture: Architecture) -> Self:
        """Needs to know nothing of the model."""
        return self

    def widened(self, dtype: str) -> Self:
        """The same in another data type."""
        return dataclasses.replace(self, wide=dtype)

    def sections(self, architecture: Architecture) -> tuple[Section, ...]:
        """As they are."""
        return architecture.sections

    def covers(self, section: Section, op: Operation, parameter: Parameter) -> bool:
        """Nothing."""
        return False

    def stored(
        self, section: Section, op: Operation, parameter: Parameter, shape: tuple[int, ...]
    ) -> tuple[Stored, ...]:
        """The parameter as it is."""
        return (plain(shape, wide_dtype(parameter, self.wide)),)


@dataclass(frozen=True)
class Textbook(Plain):
    """Every parameter in one or half a byte and nothing beside it: the figure that people quote."""

    dtype: str = "int8"

    def covers(self, section: Section, op: Operation, parameter: Parameter) -> bool:
        """Every parameter; buffers stay."""
        return not parameter.buffer

    def stored(
        self, section: Section, op: Operation, parameter: Parameter, shape: tuple[int, ...]
    ) -> tuple[Stored, ...]:
        """The parameter's elements at the textbook's width."""
        if self.covers(section, op, parameter):
            return (plain(shape, self.dtype),)
        return (plain(shape, wide_dtype(parameter, self.wide)),)


class Coverage(Struct, frozen=True):
    """Which kinds of parameters a tool quantizes before anything is named.

    `towers`: vision and audio parts too. `head`: the language-model head. `routers`: routers that are
    modules of their own. `experts` and `linears`: as they say.
    """

    linears: bool = True
    experts: bool = True
    towers: bool = False
    head: bool = False
    routers: bool = False

    def takes(self, section: Section, op: Operation, parameter: Parameter) -> bool:
        """By the parameter's role and the component it stands in."""
        if section.component in TOWERS and not self.towers:
            return False
        match parameter.role:
            case Role.LINEAR:
                return self.linears and isinstance(op, Linear) and op.module
            case Role.EXPERT:
                return self.experts
            case Role.HEAD:
                return self.head and isinstance(op, Linear)
            case Role.ROUTER:
                return self.routers and isinstance(op, Linear) and op.module
        return False


class Rule(Struct, frozen=True):
    """A format and the modules it is put to; no `targets`: every module that the coverage takes."""

    format: Format
    targets: Patterns | None = None


@dataclass(frozen=True)
class Ruled(Plain):
    """Formats by rule: the first rule that names a module decides, except for those that are ignored."""

    rules: tuple[Rule, ...] = ()
    coverage: Coverage = field(default_factory=Coverage)
    ignored: Patterns = field(default_factory=Patterns)

    def sections(self, architecture: Architecture) -> tuple[Section, ...]:
        """Cut where a pattern names some layers of a section and not others."""
        if not self._by_layer():
            return architecture.sections
        return _cut_sections(self, architecture)

    def _by_layer(self) -> bool:
        return self.ignored.by_layer or any(rule.targets and rule.targets.by_layer for rule in self.rules)

    def cut(self, section: Section) -> Iterator[Section]:
        """The section at the layers that the scheme treats alike."""
        alike: dict[tuple[Format | None, ...], list[int]] = {}
        for index in section.indices[: section.copies]:
            one = replace(section, indices=(index,))
            kinds = tuple(self.format_of(one, op, parameter) for op, parameter in quantities(one))
            alike.setdefault(kinds, []).append(index)
        if len(alike) <= 1:
            yield section
        else:
            yield from (replace(section, indices=tuple(indices)) for indices in alike.values())

    def format_of(self, section: Section, op: Operation, parameter: Parameter) -> Format | None:
        """The format of a parameter at the section's first place, None when it stays wide."""
        if parameter.buffer or not self.coverage.takes(section, op, parameter):
            return None
        names = module_names(section, op, parameter)
        if self.ignored.match(names):
            return None
        for rule in self.rules:
            if rule.targets is None or rule.targets.match(names):
                return rule.format
        return None

    def covers(self, section: Section, op: Operation, parameter: Parameter) -> bool:
        """Whether a rule names it."""
        chosen = self.format_of(section, op, parameter)
        return chosen is not None and matrix_of(parameter, parameter.shape) is not None

    def stored(
        self, section: Section, op: Operation, parameter: Parameter, shape: tuple[int, ...]
    ) -> tuple[Stored, ...]:
        """The rule's tensors, or the parameter as it is."""
        wide = wide_dtype(parameter, self.wide)
        chosen = self.format_of(section, op, parameter)
        matrix = matrix_of(parameter, shape) if chosen is not None else None
        if chosen is None or matrix is None:
            return (plain(shape, wide),)
        return chosen.pack(matrix, wide)


@lru_cache(maxsize=128)
def _cut_sections(scheme: Ruled, architecture: Architecture) -> tuple[Section, ...]:
    return tuple(cut for section in architecture.sections for cut in scheme.cut(section))


def module_names(section: Section, op: Operation, parameter: Parameter) -> tuple[str, ...]:
    """What a list of modules may call the parameter's module at the section's first place.

    A stack of experts goes by its own name and by the names that single experts have in checkpoints.
    """
    prefix = next(section.prefixes())
    if "{}" in section.template:
        prefix = section.template.replace("{}", str(section.indices[0]))
    name = prefix + parameter.name.removesuffix(".weight")
    if not isinstance(op, Experts):
        return (name,)
    base = name.rpartition(".")[0]
    return (name, base, f"{base}.0.gate_proj", f"{base}.0.up_proj", f"{base}.0.down_proj")


def weight_bytes(architecture: Architecture, scheme: Scheme, dtype: str | None = None) -> int:
    """Bytes of all parameters and buffers of one whole model, tied copies once."""
    bound = (scheme if dtype is None else scheme.widened(dtype)).on(architecture)
    return sum(
        section.copies * sum(tensor.bytes for tensor in bound.stored(section, op, parameter, parameter.shape))
        for section in bound.sections(architecture)
        for op, parameter in quantities(section)
    )


def effective_bits(architecture: Architecture, scheme: Scheme, dtype: str | None = None) -> float:
    """Bits a parameter over the whole model, whatever stays wide included."""
    return 8 * weight_bytes(architecture, scheme, dtype) / architecture.parameters.total
