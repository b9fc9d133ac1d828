"""Four-bit floats with a scale every 16 or 32 elements: MXFP4 and NVFP4 (and MXFP8).

Sources: OCP Microscaling Formats 1.0; gpt-oss checkpoints (blocks [.., in/32, 16], scales [.., in/32]);
ModelOpt (weight, weight_scale, weight_scale_2, input_scale); compressed-tensors `nvfp4-pack-quantized`
(weight_packed, weight_scale, weight_global_scale, input_global_scale).
"""

from msgspec import Struct

from ..units import ceil_div
from .formats import Matrix, Stored


class Mxfp4(Struct, frozen=True):
    """Blocks of 32 four-bit floats (16 bytes) with one shared exponent byte.

    `fused`: named as gpt-oss names them; else as compressed-tensors does.
    """

    fused: bool = False

    def pack(self, matrix: Matrix, wide: str) -> tuple[Stored, ...]:
        """Values two a byte, and an exponent for every 32 along the input."""
        count = ceil_div(matrix.columns, 32)
        if self.fused:
            whole = matrix.joined
            return (
                whole.store("blocks", (whole.rows, count, 16), "uint8"),
                whole.store("scales", (whole.rows, count), "uint8"),
            )
        return (
            matrix.store("weight_packed", (matrix.rows, ceil_div(matrix.columns, 2)), "uint8"),
            matrix.store("weight_scale", (matrix.rows, count), "uint8"),
        )


class Mxfp8(Struct, frozen=True):
    """Eight-bit floats with one shared exponent byte for every 32."""

    def pack(self, matrix: Matrix, wide: str) -> tuple[Stored, ...]:
        """Values, and an exponent for every 32 along the input."""
        return (
            matrix.store("weight", (matrix.rows, matrix.columns), "fp8"),
            matrix.store("weight_scale", (matrix.rows, ceil_div(matrix.columns, 32)), "uint8"),
        )


class Nvfp4(Struct, frozen=True):
    """Blocks of 16 four-bit floats with an FP8 scale, and one float32 scale a matrix.

    `modelopt` names them as ModelOpt does, else as compressed-tensors; `static_input` False leaves out the
    scale of the activations (weight-only).
    """

    group_size: int = 16
    modelopt: bool = True
    static_input: bool = True

    def pack(self, matrix: Matrix, wide: str) -> tuple[Stored, ...]:
        """Values two a byte, block scales, the scale of the matrix, the scale of its input."""
        values, whole, entry = (
            ("weight", "weight_scale_2", "input_scale")
            if self.modelopt
            else ("weight_packed", "weight_global_scale", "input_global_scale")
        )
        one: tuple[int, ...] = () if self.modelopt else (1,)
        tensors = (
            matrix.store(values, (matrix.rows, ceil_div(matrix.columns, 2)), "uint8"),
            matrix.store("weight_scale", (matrix.rows, ceil_div(matrix.columns, self.group_size)), "fp8"),
            matrix.store(whole, one, "float32"),
        )
        return (*tensors, matrix.store(entry, one, "float32")) if self.static_input else tensors
