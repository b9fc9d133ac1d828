"""Groups of integers packed into words: GPTQ, AWQ and the pack-quantized form of compressed-tensors.

Sources of the layouts: AutoGPTQ/GPTQModel `qlinear` (qweight, qzeros, scales, g_idx), AutoAWQ
`WQLinear_GEMM`, compressed-tensors `PackedQuantizationCompressor` (weight_packed, weight_scale,
weight_zero_point, weight_shape).
"""

from msgspec import Struct

from ..units import ceil_div
from .formats import Matrix, Stored


def groups(columns: int, size: int) -> int:
    """Groups along the input dimension; a size of -1 or 0 is one group for the whole row."""
    return ceil_div(columns, size) if size > 0 else 1


def words(values: int, bits: int) -> int:
    """32-bit words that hold that many values side by side (3-bit values straddle words)."""
    return ceil_div(values * bits, 32)


class Gptq(Struct, frozen=True):
    """GPTQ (arXiv 2210.17323): packed along the input, zero points along the output.

    `g_idx` names the group of each input row; checkpoints have it with and without activation order.
    """

    bits: int = 4
    group_size: int = 128
    g_idx: bool = True

    def pack(self, matrix: Matrix, wide: str) -> tuple[Stored, ...]:
        """qweight [in x bits / 32, out], qzeros [groups, out x bits / 32], scales [groups, out]."""
        count = groups(matrix.columns, self.group_size)
        tensors = (
            matrix.store("qweight", (words(matrix.columns, self.bits), matrix.rows), "int32"),
            matrix.store("qzeros", (count, words(matrix.rows, self.bits)), "int32"),
            matrix.store("scales", (count, matrix.rows), "float16"),
        )
        index = matrix.store("g_idx", (matrix.columns,), "int32")
        return (*tensors, index) if self.g_idx else tensors


class Awq(Struct, frozen=True):
    """AWQ (arXiv 2306.00978): packed along the output; `zero_point` False leaves out the zeros."""

    bits: int = 4
    group_size: int = 128
    zero_point: bool = True

    def pack(self, matrix: Matrix, wide: str) -> tuple[Stored, ...]:
        """qweight [in, out x bits / 32], qzeros [groups, out x bits / 32], scales [groups, out]."""
        count = groups(matrix.columns, self.group_size)
        packed = words(matrix.rows, self.bits)
        weight = matrix.store("qweight", (matrix.columns, packed), "int32")
        zeros = matrix.store("qzeros", (count, packed), "int32")
        scales = matrix.store("scales", (count, matrix.rows), "float16")
        return (weight, zeros, scales) if self.zero_point else (weight, scales)


class PackQuantized(Struct, frozen=True):
    """compressed-tensors `pack-quantized`: integers of 2 to 8 bits in words along the input.

    `group_size` 0: one scale a row. `symmetric` False adds packed zero points; `actorder` a group index.
    """

    bits: int = 4
    group_size: int = 128
    symmetric: bool = True
    actorder: bool = False

    def pack(self, matrix: Matrix, wide: str) -> tuple[Stored, ...]:
        """weight_packed [out, in x bits / 32], weight_scale [out, groups], weight_shape [2]."""
        count = groups(matrix.columns, self.group_size)
        tensors = [
            # Each word holds 32 // bits whole values.
            matrix.store("weight_packed", (matrix.rows, ceil_div(matrix.columns, 32 // self.bits)), "int32"),
            matrix.store("weight_scale", (matrix.rows, count), wide),
            matrix.store("weight_shape", (2,), "int64"),
        ]
        if not self.symmetric:
            zeros = (ceil_div(matrix.rows, 32 // self.bits), count)
            tensors.append(matrix.store("weight_zero_point", zeros, "int32"))
        if self.actorder:
            tensors.append(matrix.store("weight_g_idx", (matrix.columns,), "int32"))
        return tuple(tensors)
