"""Zaya's attention: queries and keys mixed along the sequence, half of each value a token late."""

from msgspec import Struct

from ..operations import Axis, Role, State, Tensor
from ..trace import Trace, column, row
from .attention import Heads, attend, turn


class Convolved(Struct, frozen=True):
    """Heads, and the reach of the depthwise and of the grouped convolution."""

    heads: Heads
    depthwise: int
    grouped: int

    @property
    def mixed(self) -> int:
        """Channels of queries and keys."""
        return self.heads.query_width + self.heads.key_width


def projected(t: Trace, x: Tensor, a: Convolved, bias: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Queries and keys after both convolutions plus their mean; values, the second half a token late."""
    h = a.heads
    q = t.linear("q_proj", x, h.query_width, bias=bias, split=column(h.heads))
    k = t.linear("k_proj", x, h.key_width, bias=bias, split=column(h.kv_heads, replicate=True))
    mixed = t.concat(q, k)
    kept = State("conv", (a.mixed, a.depthwise + a.grouped - 2), None, h.kv_heads)
    mixed = t.convolution(
        "conv_qk_depthwise", mixed, a.mixed, kernel=(a.depthwise,), groups=a.mixed, state=kept
    )
    mixed = t.convolution("conv_qk_grouped", mixed, a.mixed, kernel=(a.grouped,), groups=h.heads + h.kv_heads)
    convolved = t.split(mixed, h.query_width, h.key_width, kind="slice")
    mean = t.elementwise("scale", t.add(q, t.elementwise("repeat", k, width=h.query_width)))
    q = t.add(convolved[0], mean)
    k = t.add(convolved[1], t.elementwise("mean", mean, width=h.key_width))
    half = h.key_width // 2
    now, late = t.linear("v_proj_current", x, half, bias=bias), t.linear("v_proj_delayed", x, half, bias=bias)
    t.linear("v_proj_delayed", t.input(x.width, Axis.BATCH), half, bias=bias)  # before the first token
    late = t.scan(
        "shift", (late,), half, heads=half, key_dim=1, value_dim=1, states=(State("late", (half,)),)
    )
    return q, k, t.concat(now, late)


def convolved_attention(
    t: Trace, x: Tensor, a: Convolved, *, bias: bool, module: str = "self_attn"
) -> Tensor:
    """Lengths of queries and keys set, keys by a learned temperature; rotation; attention."""
    h = a.heads
    with t.scope(module):
        with t.scope("qkv_proj"):
            q, k, v = projected(t, x, a, bias)
        t.hold(t.parameter("qk_norm.temp", (h.kv_heads,), Role.NORM))
        q, k = (t.norm("", y, style="l2", weight=False, width=h.head_dim) for y in (q, k))
        q, k = turn(t, q, t.elementwise("scale", k), h)
        return t.linear("o_proj", attend(t, q, k, v, h), x.width, bias=bias, split=row(h.heads))
