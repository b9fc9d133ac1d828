"""bitsandbytes: LLM.int8() rows, and NF4/FP4 blocks with single or double quantized scales.

Sources: bitsandbytes `functional.quantize_4bit`, `QuantState.as_dict`, `nn.Linear8bitLt` (SCB);
arXiv 2208.07339, 2305.14314.
"""

from msgspec import Struct

from ..units import ceil_div
from .formats import Matrix, Stored


class LlmInt8(Struct, frozen=True):
    """One byte an element and one float32 a row."""

    def pack(self, matrix: Matrix, wide: str) -> tuple[Stored, ...]:
        """weight [out, in], SCB [out]."""
        return (
            matrix.store("weight", (matrix.rows, matrix.columns), "int8"),
            matrix.store("SCB", (matrix.rows,), "float32"),
        )


class FourBit(Struct, frozen=True):
    """Blocks of `block` elements in row order with a float32 maximum each.

    `double` quantizes those maxima to bytes, 256 to a float32 of their own.
    """

    kind: str = "nf4"
    double: bool = False
    block: int = 64

    def pack(self, matrix: Matrix, wide: str) -> tuple[Stored, ...]:
        """weight [elements / 2, 1], absmax, and the sixteen values of the code."""
        elements = matrix.rows * matrix.columns
        blocks = ceil_div(elements, self.block)
        tensors = [
            matrix.store("weight", (ceil_div(elements, 2), 1), "uint8"),
            matrix.store("weight.absmax", (blocks,), "uint8" if self.double else "float32"),
            matrix.store("weight.quant_map", (16,), "float32"),
        ]
        if self.double:
            tensors.append(matrix.store("weight.nested_absmax", (ceil_div(blocks, 256),), "float32"))
            tensors.append(matrix.store("weight.nested_quant_map", (256,), "float32"))
        return tuple(tensors)
