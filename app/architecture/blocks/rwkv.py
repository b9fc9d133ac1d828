"""RWKV-4: time mixing and channel mixing, each with the token before."""

from msgspec import Struct

from ..operations import Role, State, Tensor
from ..trace import Trace


class Rwkv(Struct, frozen=True):
    """Widths of the stream, of the recurrence and of the feed-forward block (arXiv 2305.13048)."""

    hidden: int
    attention: int
    inner: int

    @property
    def states(self) -> tuple[State, ...]:
        """The token before, of both halves, and numerator, denominator and maximum of the recurrence."""
        before = tuple(State(f"{half}_before", (self.hidden,)) for half in ("feed_forward", "attention"))
        sums = tuple(
            State(name, (self.hidden,), "float32") for name in ("numerator", "denominator", "maximum")
        )
        return before + sums


def mixed(t: Trace, x: Tensor, before: Tensor, name: str) -> Tensor:
    """x and the token before it, weighed channel by channel."""
    weight = t.parameter(name, (1, 1, x.width), Role.STATE)
    t.hold(weight)
    return t.add(t.elementwise("scale", x), t.elementwise("scale", before))


def time_mix(t: Trace, x: Tensor, r: Rwkv, *, module: str = "attention") -> Tensor:
    """Key, value and receptance of mixed tokens; an exponentially decaying average; output."""
    with t.scope(module):
        before = t.elementwise("shift", x)
        parts = {
            name: t.linear(name, mixed(t, x, before, f"time_mix_{name}"), r.attention)
            for name in ("key", "value", "receptance")
        }
        parameters = [t.parameter(name, (r.attention,), Role.STATE) for name in ("time_decay", "time_first")]
        out = t.scan(
            "rwkv",
            (parts["key"], parts["value"]),
            r.attention,
            parameters,
            heads=r.attention,
            key_dim=1,
            value_dim=1,
            states=r.states,
        )
        out = t.multiply(t.elementwise("sigmoid", parts["receptance"]), out)
        return t.linear("output", out, x.width)


def channel_mix(t: Trace, x: Tensor, r: Rwkv, *, module: str = "feed_forward") -> Tensor:
    """A squared ReLU between two matrices, scaled by a receptance."""
    with t.scope(module):
        before = t.elementwise("shift", x)
        key = t.elementwise("relu2", t.linear("key", mixed(t, x, before, "time_mix_key"), r.inner))
        receptance = t.linear("receptance", mixed(t, x, before, "time_mix_receptance"), x.width)
        return t.multiply(t.elementwise("sigmoid", receptance), t.linear("value", key, x.width))
