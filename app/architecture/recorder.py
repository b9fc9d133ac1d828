"""The record of a forward pass itself: numbered tensors, nested names, operations in order."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .operations import (
    Axis,
    Operation,
    Parameter,
    Role,
    Split,
    Tensor,
)
from .spans import Span


class Recorder:
    """Tensors, names and operations as they come, in order."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._path: list[str] = []
        self._tensors = 0
        self._span: Span | None = None

    def tensor(self, width: int, axis: Axis = Axis.TOKENS, of: Tensor | None = None) -> Tensor:
        """A new value; with `of`, a view that lives in that tensor's storage.

        Raises `OverflowError` for a width below zero, which no configuration of a real model leads to.
        """
        if width < 0:
            raise OverflowError(f"a width of {width}")
        self._tensors += 1
        return Tensor(self._tensors, axis, width, of.storage if of else self._tensors, self._span)

    def input(self, width: int, axis: Axis = Axis.TOKENS) -> Tensor:
        """A value that another block made."""
        return self.tensor(width, axis)

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Names inside are below `name` (which may be empty)."""
        before = list(self._path)
        self._path += [name] if name else []
        yield
        self._path = before

    @contextmanager
    def spanned(self, span: Span | None) -> Iterator[None]:
        """Tensors made inside have these rows in each sequence, where plain PyTorch multiplies them."""
        before, self._span = self._span, span
        yield
        self._span = before

    def path(self, name: str) -> str:
        """The full name inside the block."""
        return ".".join([*self._path, name]) if name else ".".join(self._path)

    def parameter(
        self,
        name: str,
        shape: Sequence[int],
        role: Role = Role.OTHER,
        *,
        split: Split | None = None,
        dtype: str | None = None,
        buffer: bool = False,
        tied: bool = False,
        experts: int = 0,
        transposed: bool = False,
    ) -> Parameter:
        """A weight under the present scope (not yet used by any operation).

        Raises `OverflowError` for a dimension below zero, as `tensor` does.
        """
        if min(shape, default=0) < 0:
            raise OverflowError(f"a shape of {tuple(shape)}")
        return Parameter(self.path(name), tuple(shape), role, split, dtype, buffer, tied, experts, transposed)

    def _add(self, operation: Operation) -> Tensor:
        self.operations.append(operation)
        return operation.outputs[0]
