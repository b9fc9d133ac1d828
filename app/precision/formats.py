"""What a quantization format makes of a weight matrix: packed values, scales, zero points, tables.

A format is a small immutable object with one method, `pack`. The kinds stand in files of their own; which
parameters of a model a format is put to is the business of a `Scheme`.
"""

from functools import reduce
from operator import mul
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from ..architecture.operations import Parameter
from .dtypes import size_of


class Stored(Struct, frozen=True):
    """A tensor that a parameter becomes.

    `suffix` takes the place of `weight` in the parameter's name ("" leaves the name as it is); a name
    without `weight` gets it after an underscore. `bytes` is exact.
    """

    suffix: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int

    def name(self, parameter: str) -> str:
        """The full name of this tensor for a parameter of that name.

        >>> Stored("scales", (1,), "float16", 2).name("mlp.up_proj.weight")
        'mlp.up_proj.scales'
        """
        if not self.suffix:
            return parameter
        if parameter.endswith(".weight"):
            return parameter.removesuffix("weight") + self.suffix
        joint = "." if self.suffix.startswith("weight") else "_"
        return f"{parameter}{joint}{self.suffix}"


class Matrix(Struct, frozen=True):
    """`count` weight matrices of `rows` outputs by `columns` inputs, as published (experts one by one).

    `parts`: how many of them stand side by side in one stacked tensor (gate and up). `transposed`: the
    implementation keeps them [in, out].
    """

    rows: int
    columns: int
    count: int = 1
    stacked: bool = False
    transposed: bool = False
    parts: int = 1

    @property
    def joined(self) -> "Matrix":
        """The same elements with the parts of each stacked matrix as one."""
        return replace(self, rows=self.rows * self.parts, count=self.count // self.parts, parts=1)

    @property
    def size(self) -> int:
        """Elements of all."""
        return self.rows * self.columns * self.count

    def store(self, suffix: str, shape: tuple[int, ...], dtype: str) -> Stored:
        """One such tensor for every matrix, stacked where the matrices are."""
        elements = reduce(mul, shape, 1)
        full = (self.count, *shape) if self.stacked else shape
        return Stored(suffix, full, dtype, self.count * size_of(elements, dtype))


class Format(Protocol):
    """A way to store weight matrices."""

    def pack(self, matrix: Matrix, wide: str) -> tuple[Stored, ...]:
        """The tensors that the matrices become; `wide` is the data type of what is not quantized."""
        ...


def plain(shape: tuple[int, ...], dtype: str) -> Stored:
    """A tensor as it is."""
    return Stored("", shape, dtype, size_of(reduce(mul, shape, 1), dtype))


def matrix_of(parameter: Parameter, shape: tuple[int, ...]) -> Matrix | None:
    """The weight matrices in a parameter of this (possibly sharded) shape; None when it has none.

    Stacked experts are taken one by one, and gate and up of each apart, as checkpoints have them.
    """
    if parameter.experts and len(shape) == 3:
        count, rows, columns = shape if not parameter.transposed else (shape[0], shape[2], shape[1])
        out_dim = 2 if parameter.transposed else 1
        split = parameter.split
        parts = len(split.parts) if split is not None and split.dim == out_dim else 1
        if rows % parts:
            parts = 1
        return Matrix(rows // parts, columns, count * parts, True, parameter.transposed, parts)
    if len(shape) != 2:
        return None
    rows, columns = reversed(shape) if parameter.transposed else shape
    return Matrix(rows, columns, transposed=parameter.transposed)
