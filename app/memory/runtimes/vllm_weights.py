"""What vLLM makes of quantized tensors after loading: padding, second copies, sorted indices.

Sources: vLLM `layers/quantization/mxfp4.py`, `utils/mxfp4_utils.py`, `gptq_marlin.py`,
`utils/marlin_utils.py`.
"""

from collections.abc import Iterable
from typing import Final

from ...architecture.operations import Parameter
from ...precision.formats import Stored

TRITON_INTERMEDIATE: Final = 64  # round-up of an expert's inner size per rank
SCALE_ROWS: Final = 256  # the swizzled scales' output axis


def up(value: int, multiple: int) -> int:
    """The next multiple.

    >>> up(1440, 64)
    1472
    """
    return -(-value // multiple) * multiple


def repacked(
    scheme: str, parameter: Parameter, shape: tuple[int, ...], stored: Iterable[Stored]
) -> Iterable[tuple[str, int]]:
    """Name endings and bytes of what a parameter is on the GPU."""
    return _repacked(scheme, parameter, shape, stored, 64)


def repacked_early(
    scheme: str, parameter: Parameter, shape: tuple[int, ...], stored: Iterable[Stored]
) -> Iterable[tuple[str, int]]:
    """The same in 0.11, whose Triton kernels take values unpadded."""
    return _repacked(scheme, parameter, shape, stored, 1)


def _repacked(
    scheme: str, parameter: Parameter, shape: tuple[int, ...], stored: Iterable[Stored], values: int
) -> Iterable[tuple[str, int]]:
    if scheme == "mxfp4" and parameter.experts:
        return _mxfp4(parameter, shape, values)
    if scheme == "gptq":
        return _gptq(stored)
    return ((tensor.suffix, tensor.bytes) for tensor in stored)


def _gptq(stored: Iterable[Stored]) -> Iterable[tuple[str, int]]:
    """Marlin sorts the group index of activation order and keeps the order beside it."""
    for tensor in stored:
        yield tensor.suffix, tensor.bytes
        if tensor.suffix == "g_idx":
            yield "g_idx_sort_indices", tensor.bytes


def _mxfp4(parameter: Parameter, shape: tuple[int, ...], values: int) -> Iterable[tuple[str, int]]:
    """Triton on Hopper: values padded on both axes, scales swizzled beside the loaded ones."""
    experts = shape[0]
    if len(shape) == 2:
        outputs = shape[1] if parameter.split is None else 2 * up(shape[1] // 2, TRITON_INTERMEDIATE)
        yield "", experts * outputs * 4  # biases become float32
        return
    rows, columns = (shape[2], shape[1]) if parameter.transposed else (shape[1], shape[2])
    out_axis = 2 if parameter.transposed else 1
    if parameter.split is not None and parameter.split.dim == out_axis:
        rows = 2 * up(rows // 2, TRITON_INTERMEDIATE)
    else:
        columns = up(columns, TRITON_INTERMEDIATE)
    yield "weight", experts * up(rows, values) * up(columns // 2, values)
    yield "weight_scale", experts * up(rows, SCALE_ROWS) * (columns // 32)
    yield "weight_scale_loaded", experts * rows * (columns // 32)
