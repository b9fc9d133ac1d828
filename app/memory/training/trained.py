"""What is trained: the tensors that get gradients and optimizer states, by shape."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from ...architecture import adapters
from ...architecture.operations import Convolution, Embedding, Linear, Role
from ...architecture.sections import Section
from ...architecture.tensors import own_parameters
from ...parallelism import Layout, local_shape
from ..optimizer import Group
from .lowering import is_saved, is_trained_bias
from .mode import Adapters

NO_MATRIX = (Role.EMBEDDING, Role.HEAD, Role.NORM, Role.BIAS)


def full_groups(
    held: Sequence[tuple[Section, int]], layout: Layout, item: int, vocabulary: int, first_trained: int = 0
) -> Iterator[Group]:
    """Every parameter of the sections on one rank, frozen layers left out."""
    for section, places in held:
        count = min(places, section.copies)
        if first_trained:
            count = min(count, _trained_places(section, first_trained))
        for parameter in own_parameters(section):
            if parameter.buffer or not count:
                continue
            shape = local_shape(parameter, layout, vocabulary if layout.tensor > 1 else 0)
            own = 4 if parameter.dtype == "float32" else item
            matrix = len(shape) >= 2 and parameter.role not in NO_MATRIX
            yield Group(shape, count, own, matrix, expert=bool(parameter.experts))


def _trained_places(section: Section, first: int) -> int:
    if "{}" not in section.template:
        return section.copies if section.component in ("norm", "head") else 0
    return sum(index >= first for index in section.indices)


def adapter_groups(held: Sequence[tuple[Section, int]], settings: Adapters, item: int) -> Iterator[Group]:
    """Both matrices of every adapter on one rank, DoRA's magnitudes, modules trained in full and biases;
    `item`: bytes per element of the stored weights."""
    counts = {id(section): places for section, places in held}
    sections = tuple(section for section, _ in held)
    chosen = adapters.choose(sections, settings.target_modules, settings.model_type)
    for target in chosen.modules:
        count = min(counts[id(target.section)], target.count)
        into, out = _ends(target.operation)
        yield Group((settings.rank, into), count, settings.item)
        yield Group((out, settings.rank), count, settings.item)
        if settings.magnitudes:
            yield Group((out,), count, settings.item, matrix=False)
    for section, parameter, times in chosen.tensors(sections):
        *stack, rows, columns = parameter.shape
        rank, count = (
            times * settings.rank * (stack[0] if stack else 1),
            min(counts[id(section)], section.copies),
        )
        yield Group((rank, columns), count, settings.item)
        yield Group((rows, rank), count, settings.item)
    biases = {p.name for t in chosen.modules for p in t.operation.parameters[1:]}
    for section, places in held:
        for parameter in own_parameters(section):
            count = min(places, section.copies)
            if is_saved(parameter, settings):
                yield Group(parameter.shape, count, item, parameter.role not in NO_MATRIX)
            elif is_trained_bias(parameter, settings, biases):
                yield Group(parameter.shape, count, item, matrix=False, in_place=True)


def _ends(op: adapters.Adaptable) -> tuple[int, int]:
    match op:
        case Linear():
            return op.fan_in, op.fan_out
        case Embedding():
            return op.rows, op.width
        case Convolution():
            return op.channels_in // op.groups * op.kernel, op.channels_out


def merged(groups: Iterator[Group]) -> tuple[Group, ...]:
    """Equal shapes counted together."""
    found: dict[tuple[object, ...], Group] = {}
    for group in groups:
        key = (group.shape, group.item, group.matrix, group.in_place, group.expert)
        before = found.get(key)
        found[key] = replace(group, count=group.count + before.count) if before else group
    return tuple(found.values())
