"""The sizes a forward pass runs at, and how many rows each axis then has."""

from msgspec import Struct

from .operations import Axis, Tensor


class Extents(Struct, frozen=True):
    """`batch` sequences of `length` new tokens over `context` keys [length]; rows of other inputs.

    `literal`: lengths as plain PyTorch pads, pools and cuts them before it multiplies (`spans.py`).
    """

    batch: int
    length: int
    context: int | None = None
    source: int = 0
    patches: int = 0
    image_tokens: int = 0
    images: int = 0
    spoken: int = 0
    literal: bool = False

    @property
    def keys(self) -> int:
        """Keys that a new token may see."""
        return self.length if self.context is None else self.context

    def rows(self, axis: Axis) -> int:
        """How many rows a tensor of this axis has."""
        match axis:
            case Axis.TOKENS:
                return self.batch * self.length
            case Axis.PAIRS:
                return self.batch * self.length * self.keys
            case Axis.SEQUENCE:
                return self.length
            case Axis.BATCH:
                return self.batch
            case Axis.SOURCE:
                return self.batch * self.source
            case Axis.PATCHES | Axis.IMAGES | Axis.IMAGE_TOKENS | Axis.SPOKEN:
                return int(getattr(self, axis.value))
            case Axis.ONE:
                return 1

    def elements(self, tensor: Tensor) -> int:
        """How many elements a tensor has."""
        return self.count(tensor) * tensor.width

    def count(self, tensor: Tensor) -> int:
        """How many rows a tensor has."""
        if tensor.span is None or not self.literal:
            return self.rows(tensor.axis)
        length = self.source if tensor.axis is Axis.SOURCE else self.length
        rows = tensor.span.rows(length + self.source if tensor.span.behind else length)
        return rows if tensor.axis in (Axis.ONE, Axis.SEQUENCE) else self.batch * rows
