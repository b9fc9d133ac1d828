"""Layers of encoder-decoders: two halves or, with attention to the encoder, three."""

from collections.abc import Callable, Sequence

from ..operations import Tensor
from ..trace import Trace
from .residual import branch

Half = tuple[str, Callable[[Trace, Tensor], Tensor]]


def halves(
    t: Trace, x: Tensor, parts: Sequence[Half], *, pre: bool, style: str = "layer", dropout: float = 0.0
) -> Tensor:
    """Each part with the name of its norm, which stands before it (`pre`) or behind the residual."""
    for name, part in parts:
        if pre:
            x = t.add(x, branch(t, part(t, t.norm(name, x, style=style)), dropout))
        else:
            x = t.norm(name, t.add(x, branch(t, part(t, x), dropout)), style=style)
    return x
