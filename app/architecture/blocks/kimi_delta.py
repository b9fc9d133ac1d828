"""Kimi delta attention: the delta rule with a decay for every channel."""

from msgspec import Struct

from ..operations import Role, State, Tensor
from ..trace import Trace, column, row
from .recurrent import short_convolution


class KimiDelta(Struct, frozen=True):
    """Heads of one width for queries, keys and values (Kimi Linear, arXiv 2510.26692).

    `low_rank`: decay and output gate go through a matrix as narrow as a head. `flat`: the decay rates are
    stored as one number for each head and nothing more.
    """

    heads: int
    head_dim: int
    kernel: int
    low_rank: bool = True
    chunk: int = 64
    flat: bool = False

    @property
    def width(self) -> int:
        """Elements of all queries, of all keys, of all values."""
        return self.heads * self.head_dim


def kimi_delta(t: Trace, x: Tensor, k: KimiDelta, *, module: str = "self_attn") -> Tensor:
    """Convolved queries, keys and values; decay and beta from the input; recurrence; gated norm."""
    heads = column(k.heads)
    with t.scope(module):
        inside = t.concat(*(t.linear(f"{name}_proj", x, k.width, split=heads) for name in "qkv"))
        inside = t.elementwise("silu", short_convolution(t, inside, k.kernel, bias=False, units=k.heads))
        decay = forget_gate(t, x, k)
        beta = t.elementwise("sigmoid", t.linear("b_proj", x, k.heads, split=heads))
        state = State("recurrent", (k.heads, k.head_dim, k.head_dim), "float32", k.heads)
        y = t.scan(
            "kimi_delta",
            (inside, decay, beta),
            k.width,
            heads=k.heads,
            key_dim=k.head_dim,
            value_dim=k.head_dim,
            chunk=k.chunk,
            states=(state,),
        )
        y = t.norm("o_norm", y, style="rms_gated", gate=narrow(t, x, "g", k), width=k.head_dim)
        return t.linear("o_proj", y, x.width, split=row(k.heads))


def narrow(t: Trace, x: Tensor, letter: str, k: KimiDelta) -> Tensor:
    """One matrix, or two with a narrow middle."""
    if not k.low_rank:
        return t.linear(f"{letter}_proj", x, k.width, split=column(k.heads))
    return t.linear(
        f"{letter}_b_proj", t.linear(f"{letter}_a_proj", x, k.head_dim), k.width, split=column(k.heads)
    )


def forget_gate(t: Trace, x: Tensor, k: KimiDelta) -> Tensor:
    """The decay of every channel, in 32 bits."""
    with t.scope("forget_gate"):
        scores = narrow(t, x, "f", k)
        shape = (1, 1, k.heads, 1) if k.low_rank and not k.flat else (k.heads,)
        t.hold(t.parameter("A_log", shape, Role.STATE), t.parameter("dt_bias", (k.width,), Role.STATE))
        return t.elementwise("softplus", scores)
