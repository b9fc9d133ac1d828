"""Weights: what the parameters of one rank take in memory.

Two readings of the same description: `exact` sums the tensors as they are; `allocated` sums what torch's
caching allocator hands out for the tensors that a serving runtime makes of them (query, key and value
fused, gate and up fused), which is what vLLM logs.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Final

from msgspec import Struct

from ..architecture import Architecture, adapters
from ..architecture.operations import Experts, Linear, Operation, Parameter, Role
from ..architecture.sections import Section
from ..errors import invalid
from ..messages import Message
from ..parallelism import Layout, Stage, local_shape
from ..precision import schemes
from ..precision.declared import declared
from ..precision.dtypes import data_type
from ..precision.formats import Stored
from ..precision.scheme import Scheme, Textbook, quantities
from ..precision.schemes import for_precision

MIB: Final = 2**20


@dataclass(frozen=True, eq=False)
class StoredModel:
    """A model and the form its parameters are stored in; compared by identity, so that readings can be kept.

    `compute`: the data type of activations. `scale`: bytes asked for over bytes of the description, where
    a size was asked for (`model_size`). `textbook`: a figure without scales, rounding or padding.
    """

    architecture: Architecture
    scheme: Scheme
    sections: tuple[Section, ...]
    compute: str
    textbook: bool
    size_billions: float | None
    warnings: tuple[Message, ...]


@lru_cache(maxsize=512)
def stored_model(
    architecture: Architecture,
    precision: str | None,
    quantization: str | None,
    size_billions: float | None = None,
    narrow_float32: bool = True,
) -> StoredModel:
    """How a model is stored: `precision` [the configuration's own], `quantization` [the checkpoint's own].

    `narrow_float32`: a configuration that says float32 is loaded as bfloat16 (vLLM, SGLang).
    """
    warnings: list[Message] = []
    dtype = precision or architecture.dtype
    if dtype is None:
        dtype = "bfloat16"
        warnings.append(Message("dtype_unknown", {"assumed": dtype}))
    elif precision is None and narrow_float32 and dtype == "float32":
        dtype = "bfloat16"
        warnings.append(Message("float32_narrowed", {"dtype": dtype}))
    scheme = _scheme(architecture, dtype, quantization, precision is not None)
    textbook = isinstance(scheme, Textbook) or size_billions is not None
    compute = dtype if data_type(dtype).bits >= 16 else "bfloat16"
    warnings.extend(scheme.warnings)
    return StoredModel(
        architecture, scheme, scheme.sections(architecture), compute, textbook, size_billions, tuple(warnings)
    )


def _scheme(architecture: Architecture, dtype: str, quantization: str | None, asked: bool) -> Scheme:
    """The scheme asked for, else the checkpoint's own, else the data type alone.

    Raises `InvalidRequest` for a quantization that is not the checkpoint's own. A textbook precision that
    is asked for stands for itself.
    """
    wide = dtype if data_type(dtype).bits >= 16 else "bfloat16"
    own = declared(architecture.config, wide)
    if quantization == "none" or (quantization is None and (own is None or (asked and wide != dtype))):
        return for_precision(dtype).on(architecture)
    if own is not None and quantization is not None and own.name != quantization:
        raise invalid("quantization", "quantization_differs", value=quantization, own=own.name)
    if own is not None:
        return own.on(architecture)
    return schemes.get(str(quantization), wide=wide).on(architecture)


# Scheme, parameter, its shape on this rank and its tensors -> name endings and bytes on the GPU.
Repack = Callable[[str, Parameter, tuple[int, ...], Iterable[Stored]], Iterable[tuple[str, int]]]


class Weights(Struct, frozen=True):
    """One rank's weights: bytes as tensors are, bytes as the allocator gives them, elements; of the exact
    bytes, those of routed experts."""

    exact: int
    allocated: int
    elements: int
    of_experts: int = 0


def allocated(size: int) -> int:
    """Bytes that torch's CUDA allocator hands out for a tensor of `size` bytes.

    Sizes are rounded to 512; from 10 MiB on a segment of its own, rounded to 2 MiB, whose remainder is
    split off only above 1 MiB (PyTorch `c10/cuda/CUDACachingAllocator.cpp`: `round_size`,
    `get_allocation_size`, `should_split`).

    >>> allocated(1), allocated(11 * 2**20 + 512), allocated(10 * 2**20 - 512)
    (512, 12582912, 10485248)
    """
    rounded = -(-size // 512) * 512
    if rounded < 10 * MIB:
        return rounded
    segment = -(-rounded // (2 * MIB)) * 2 * MIB
    return segment if segment - rounded <= MIB else rounded


@lru_cache(maxsize=2048)
def rank_weights(
    stored: StoredModel, layout: Layout, stage: Stage, pad: int = 1, repack: Repack | None = None
) -> Weights:
    """The weights of one rank [bytes]; `pad` is the multiple that vocabularies are padded to.

    `repack` tells what a runtime makes of the tensors after loading.
    """
    exact = given = elements = experts = 0
    vocabulary = stored.architecture.vocab_size if pad > 1 or layout.tensor > 1 else 0
    for section, places in stage.sections:
        copies = min(places, section.copies)
        sizes: dict[tuple[str, ...], int] = {}
        for operation, parameter in quantities(section):
            shape = local_shape(parameter, layout, vocabulary, pad)
            elements += copies * prod(shape)
            tensors = stored.scheme.stored(section, operation, parameter, shape)
            made = repack(stored.scheme.name, parameter, shape, tensors) if repack else _as_stored(tensors)
            for suffix, size in made:
                key = (*fused_with(operation, parameter), suffix)
                sizes[key] = sizes.get(key, 0) + size
                experts += copies * size if parameter.experts else 0
        exact += copies * sum(sizes.values())
        given += copies * sum(map(allocated, sizes.values()))
    if stored.size_billions is None:
        return Weights(exact, given, elements, experts)
    return _sized(stored, elements)


def _as_stored(tensors: Iterable[Stored]) -> Iterable[tuple[str, int]]:
    return ((tensor.suffix, tensor.bytes) for tensor in tensors)


def _sized(stored: StoredModel, elements: int) -> Weights:
    """The share of a stated size that this rank's elements are of all."""
    total = stored.size_billions or 0
    whole = round(total * 1e9 * element_bytes(_dtype_of(stored.scheme)))
    size = whole * elements // max(1, stored.architecture.parameters.total)
    size = whole if elements == stored.architecture.parameters.total else size
    return Weights(size, size, round(total * 1e9))


def _dtype_of(scheme: Scheme) -> str:
    return scheme.dtype if isinstance(scheme, Textbook) else scheme.wide


@lru_cache(maxsize=512)
def adapter_elements(stage: Stage, layout: Layout, rank: int) -> int:
    """Elements of one slot for adapters of `rank` on every linear module but the head [one rank].

    Both matrices of a module: rank x in and out x rank, of which the one on the cut side is cut
    (vLLM `lora/layers`: `create_lora_weights`, without fully sharded adapters).
    """
    total = 0
    for section, places in stage.sections:
        for target in adapters.targets((section,), "all-linear"):
            module = target.operation
            if isinstance(module, Linear) and section.component == "decoder":
                shape = local_shape(module.parameters[0], layout)
                rows, columns = reversed(shape) if module.parameters[0].transposed else shape
                total += min(places, section.copies) * rank * (rows + columns * module.groups)
    return total


@lru_cache(maxsize=512)
def expert_adapter_elements(stage: Stage, layout: Layout, rank: int, joined: bool) -> int:
    """Elements of one slot for adapters of `rank` on every routed expert [one rank].

    Gate and up have two pairs of matrices, or one where their weights are `joined` in the checkpoint (vLLM
    `lora/layers/fused_moe.py`: `FusedMoEWithLoRA`, `FusedMoE3DWithLoRA`).
    """
    total = 0
    for section, places in stage.sections:
        for op in section.block.operations:
            if isinstance(op, Experts):
                width, into = -(-op.width // layout.expert_tensor), 1 + op.gated
                shrunk = (1 if joined else into) * op.fan_in + width
                total += min(places, section.copies) * op.count * rank * (shrunk + into * width + op.fan_in)
    return total


def fused_with(operation: Operation, parameter: Parameter) -> tuple[str, ...]:
    """What a parameter is fused with: linears of one module that read the same tensor are one matrix.

    vLLM's and SGLang's `packed_modules_mapping`: query, key and value; gate and up; the two compressing
    projections of latent attention. Block-diagonal matrices stay apart.
    """
    if (
        not isinstance(operation, Linear)
        or operation.groups > 1
        or parameter.role not in (Role.LINEAR, Role.BIAS)
    ):
        return (parameter.name,)
    module = operation.name.rpartition(".")[0]
    return (module, str(operation.inputs[0].storage), parameter.role.value)


def element_bytes(dtype: str) -> float:
    """Bytes of one element of a data type.

    >>> element_bytes("bfloat16"), element_bytes("int4")
    (2.0, 0.5)
    """
    return data_type(dtype).bits / 8
