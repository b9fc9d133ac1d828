"""One byte an element with scales beside it: FP8 and INT8, per tensor, per row, per group or per block.

Sources: transformers `FP8Linear` (weight_scale_inv), compressed-tensors `NaiveQuantizationCompressor`
(weight_scale, input_scale), FBGEMM `fbgemm_fp8` (weight_scale per row).
"""

from msgspec import Struct

from ..units import ceil_div
from .formats import Matrix, Stored
from .packed import groups


class Scaled(Struct, frozen=True):
    """Eight-bit values and scales. `block` (rows, columns) [elements] of one scale; 0 is the whole extent.

    (0, 0): one scale a matrix. (1, 0): one a row. (128, 128): DeepSeek's blocks. `scale_dtype` None: that
    of the parameters left wide. `static_input`: a stored scale of the activations, one a matrix.
    """

    dtype: str = "fp8"
    block: tuple[int, int] = (1, 0)
    scale_dtype: str | None = "float32"
    scale_name: str = "weight_scale"
    symmetric: bool = True
    static_input: bool = False

    def pack(self, matrix: Matrix, wide: str) -> tuple[Stored, ...]:
        """weight [out, in] and its scales."""
        scale = self.scale_dtype or wide
        extents = self._scales(matrix)
        tensors = [
            matrix.store("weight", (matrix.rows, matrix.columns), self.dtype),
            matrix.store(self.scale_name, extents, scale),
        ]
        if not self.symmetric:
            tensors.append(matrix.store("weight_zero_point", extents, self.dtype))
        if self.static_input:
            tensors.append(matrix.store("input_scale", (1,), scale))
        return tuple(tensors)

    def _scales(self, matrix: Matrix) -> tuple[int, ...]:
        rows, columns = self.block
        if (rows, columns) == (0, 0):
            return (1,)
        return (ceil_div(matrix.rows, rows) if rows else 1, groups(matrix.columns, columns))
