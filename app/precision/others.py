"""HQQ, AQLM and Quanto: what their weights become."""

from msgspec import Struct

from ..units import ceil_div
from .formats import Matrix, Stored
from .packed import groups


class Hqq(Struct, frozen=True):
    """Half-quadratic quantization: groups with a scale and a zero point each, in the compute type.

    Values are packed into bytes; three-bit ones ten to a 32-bit word (hqq `BitPack`).
    """

    bits: int = 4
    group_size: int = 64

    def pack(self, matrix: Matrix, wide: str) -> tuple[Stored, ...]:
        """W_q, scale and zero, one of each a group."""
        elements = matrix.rows * matrix.columns
        count = ceil_div(elements, self.group_size) if self.group_size > 0 else matrix.rows
        if self.bits == 3:
            values = matrix.store("W_q", (ceil_div(elements // count, 10), count), "int32")
        else:
            values = matrix.store("W_q", (ceil_div(elements * self.bits, 8),), "uint8")
        return (values, matrix.store("scale", (count, 1), wide), matrix.store("zero", (count, 1), wide))


class Aqlm(Struct, frozen=True):
    """Additive codes (arXiv 2401.06118): groups of inputs (and outputs) name entries of code books."""

    in_group: int = 8
    out_group: int = 1
    codebooks: int = 1
    code_bits: int = 16

    def pack(self, matrix: Matrix, wide: str) -> tuple[Stored, ...]:
        """codes, the code books of the matrix, and a scale for each group of outputs."""
        rows, columns = ceil_div(matrix.rows, self.out_group), ceil_div(matrix.columns, self.in_group)
        code = "int8" if self.code_bits <= 8 else "int16" if self.code_bits <= 16 else "int32"
        book = (self.codebooks, 2**self.code_bits, self.out_group, self.in_group)
        return (
            matrix.store("codes", (rows, columns, self.codebooks), code),
            matrix.store("codebooks", book, "float16"),
            matrix.store("scales", (rows, 1, 1, 1), "float16"),
        )


class Quanto(Struct, frozen=True):
    """Quanto: bytes with a scale a row, or 2 and 4 bits with a scale and a shift every 128 inputs."""

    dtype: str = "int8"

    def pack(self, matrix: Matrix, wide: str) -> tuple[Stored, ...]:
        """weight._data and weight._scale, with weight._shift below eight bits."""
        if self.dtype in ("int8", "fp8"):
            return (
                matrix.store("weight._data", (matrix.rows, matrix.columns), self.dtype),
                matrix.store("weight._scale", (matrix.rows, 1), wide),
            )
        bits = 2 if self.dtype == "int2" else 4
        count = matrix.rows * groups(matrix.columns, 128)
        return (
            matrix.store("weight._data", (ceil_div(matrix.rows * matrix.columns * bits, 8),), "uint8"),
            matrix.store("weight._scale", (count, 1), wide),
            matrix.store("weight._shift", (count, 1), wide),
        )


class BitNet(Struct, frozen=True):
    """BitNet b1.58: ternary weights, four to a byte, and one scale a matrix (transformers `BitLinear`)."""

    def pack(self, matrix: Matrix, wide: str) -> tuple[Stored, ...]:
        """weight [out / 4, in] and weight_scale."""
        return (
            matrix.store("weight", (ceil_div(matrix.rows, 4), matrix.columns), "uint8"),
            matrix.store("weight_scale", (1,), wide),
        )
