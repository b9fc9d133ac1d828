"""Tensors as published checkpoints name them: single experts, older module names, wrappers in other order.

Implementations rename and fuse what they load (transformers `conversion_mapping.py`); this is the way back,
one line a lineage. Sizes do not change but for quantized tensors, which become several.
"""

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from ..architecture import Architecture
from ..architecture.naming import Names, Naming, naming
from ..architecture.operations import Operation, Parameter
from ..architecture.sections import Section
from .formats import Stored
from .scheme import Scheme


class CheckpointTensor(Struct, frozen=True):
    """A tensor of a checkpoint; `dtype` is a name of `precision.dtypes` or a GGUF type, `bytes` exact."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int


def checkpoint_tensors(architecture: Architecture, scheme: Scheme) -> Iterator[CheckpointTensor]:
    """Every tensor of the published checkpoint in a scheme, scales and the like included; tied copies once.

    GGUF files keep experts stacked and have names of their own; those come in module naming.
    """
    for section, owned, published in _sections(architecture, scheme):
        for prefix in section.prefixes():
            for part, tensor in owned:
                name = published.name(tensor.name(prefix + part.name))
                yield CheckpointTensor(name, tensor.shape, tensor.dtype, tensor.bytes)


def checkpoint_count(architecture: Architecture, scheme: Scheme) -> int:
    """How many tensors the published checkpoint has."""
    return sum(section.copies * len(owned) for section, owned, _ in _sections(architecture, scheme))


def _sections(
    architecture: Architecture, scheme: Scheme
) -> Iterator[tuple[Section, list[tuple[Parameter, Stored]], Naming]]:
    bound = scheme.on(architecture)
    published = naming(architecture.model_type)
    for section in bound.sections(architecture):
        owned = [
            (part, tensor)
            for op, part in (section.quantities() if bound.stacked else quantities(section, published))
            for tensor in bound.stored(section, op, part, part.shape)
        ]
        yield section, owned, published


def quantities(section: Section, published: Naming) -> list[tuple[Operation, Parameter]]:
    """The parameters of a section as they are published: single experts, joined projections."""
    single = [(op, part) for op, parameter in section.quantities() for part in parts(parameter, published)]
    are_joined = published.joined_in in ("", section.component)
    for ends, target in published.joined if are_joined else ():
        single = _joined(single, ends, target)
    return single


def _joined(
    single: list[tuple[Operation, Parameter]], ends: tuple[str, ...], target: str
) -> list[tuple[Operation, Parameter]]:
    """One parameter, at the place of the first, for each set whose names end like these."""
    by_name = {part.name: part for _, part in single}
    found: list[tuple[Operation, Parameter]] = []
    for op, part in single:
        end = next((end for end in ends if part.name.endswith(end)), None)
        stem = part.name.removesuffix(end) if end else ""
        if end is None or any(stem + other not in by_name for other in ends):
            found.append((op, part))
        elif end == ends[0]:
            rows = sum(by_name[stem + other].shape[0] for other in ends)
            found.append((op, replace(part, name=stem + target, shape=(rows, *part.shape[1:]), split=None)))
    return found


def parts(parameter: Parameter, published: Naming) -> Iterator[Parameter]:
    """The parameters that one of the implementation's is published as."""
    if parameter.checkpoint:
        for name, rows in parameter.checkpoint:
            yield replace(parameter, name=name, shape=(rows, *parameter.shape[1:]), split=None, checkpoint=())
    elif parameter.experts and published.experts is not None and len(parameter.shape) == 3:
        yield from _single_experts(parameter, published.experts)
    elif parameter.experts and published.transposed and len(parameter.shape) == 3:
        count, rows, columns = parameter.shape
        yield replace(parameter, shape=(count, columns, rows), transposed=not parameter.transposed)
    else:
        yield from _divided(parameter, published)


def _divided(parameter: Parameter, published: Naming) -> Iterator[Parameter]:
    """The pieces of a fused parameter, as long as its split says, else all alike."""
    for end, names in published.divided:
        if parameter.name.endswith(end):
            stem = parameter.name.removesuffix(end)
            stack = parameter.shape[:1] if parameter.experts else ()
            columns = parameter.shape[len(stack) + 1 :]
            for name, size in zip(names, _lengths(parameter, len(names)), strict=True):
                yield replace(parameter, name=stem + name, shape=(*stack, size, *columns), split=None)
            return
    yield parameter


def _lengths(parameter: Parameter, count: int) -> list[int]:
    stated = [part.size for part in parameter.split.parts] if parameter.split else []
    rows = parameter.shape[1 if parameter.experts else 0]
    return stated if len(stated) == count and sum(stated) == rows else [rows // count] * count


def _single_experts(parameter: Parameter, names: Names) -> Iterator[Parameter]:
    base, _, last = parameter.name.rpartition(".")
    count, rows, columns = parameter.shape
    gate, up, down = names
    own = {"gate_up_proj": (gate, up), "up_proj": (up,), "down_proj": (down,)}.get(last, (last,))
    shape = (rows // len(own), columns)
    for index in range(count):
        for name in own:
            yield replace(
                parameter,
                name=f"{base}.{index}.{name}.weight",
                shape=shape,
                split=None,
                experts=0,
                transposed=False,
            )
