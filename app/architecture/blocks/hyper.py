"""Hyper-connections: several residual streams, read and written through small gates (arXiv 2409.19606)."""

from collections.abc import Callable

from msgspec import Struct

from ..operations import Role, Tensor
from ..trace import Trace

Half = Callable[[Trace, Tensor], Tensor]


class Streams(Struct, frozen=True):
    """How many streams there are and how wide each is. `mixes`: whether they are mixed with each other."""

    count: int
    hidden: int
    mixes: bool = True

    @property
    def width(self) -> int:
        """Elements of all streams."""
        return self.count * self.hidden

    @property
    def gates(self) -> int:
        """Numbers that a connection makes for each token: into the layer, out of it, between streams."""
        return (2 + self.count) * self.count if self.mixes else 2 * self.count


def spread(t: Trace, x: Tensor, s: Streams) -> Tensor:
    """All streams begin as the embedding."""
    return t.elementwise("repeat", x, width=s.width)


def weights(t: Trace, x: Tensor, s: Streams, names: tuple[str, str, str], count: int, scales: int) -> Tensor:
    """Gates for each token out of all streams, in 32 bits."""
    normed = t.norm("", x, style="rms_plain", weight=False)
    made = t.linear(names[0], normed, count, module=False, role=Role.OTHER)
    t.hold(t.parameter(names[1], (count,)), t.parameter(names[2], (scales,)))
    return t.elementwise("sigmoid", made)


def gather(t: Trace, x: Tensor, gates: Tensor, s: Streams) -> Tensor:
    """The weighed sum of the streams."""
    return t.elementwise("sum", t.multiply(x, gates), width=s.hidden)


def connected(t: Trace, x: Tensor, s: Streams, name: str, half: Half) -> Tensor:
    """One half of a layer: read out of the streams, worked on, written back to all of them."""
    with t.scope(name):
        gates = weights(t, x, s, ("fn", "base", "scale"), s.gates, 3 if s.mixes else 2)
        inside = gather(t, x, gates, s)
    made = half(t, inside)
    written = t.multiply(t.elementwise("repeat", made, width=s.width), gates)
    kept = t.product(x, gates, s.width, s.count) if s.mixes else x
    return t.add(written, kept)


def head(t: Trace, x: Tensor, s: Streams) -> Tensor:
    """The streams joined behind the last layer."""
    with t.scope("hc_head"):
        return gather(t, x, weights(t, x, s, ("hc_fn", "hc_base", "hc_scale"), s.count, 1), s)
