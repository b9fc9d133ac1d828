"""The real-gated linear recurrent unit of Griffin, behind a short convolution."""

from msgspec import Struct

from ..operations import Role, State, Tensor
from ..trace import Trace, column, row


class RgLru(Struct, frozen=True):
    """Channels of the recurrence, blocks of its gates, and the convolution's reach (arXiv 2402.19427)."""

    width: int
    heads: int
    kernel: int
    activation: str

    @property
    def block(self) -> int:
        """Channels of one block."""
        return self.width // self.heads


def recurrent(t: Trace, x: Tensor, r: RgLru, *, module: str = "temporal_block") -> Tensor:
    """One branch convolved and run through the recurrence, the other its gate.

    The convolution keeps the last kernel - 1 inputs, the recurrence one value per channel in 32 bits
    (`RecurrentGemmaRecurrentBlock._setup_cache`).
    """
    split = column(r.heads)
    with t.scope(module):
        gate = t.elementwise(r.activation, t.linear("linear_y", x, r.width, bias=True, split=split))
        inside = t.linear("linear_x", x, r.width, bias=True, split=split)
        inside = t.convolution(
            "conv_1d",
            inside,
            r.width,
            kernel=(r.kernel,),
            groups=r.width,
            split=split,
            state=State("conv", (r.width, r.kernel - 1), None, r.heads),
        )
        with t.scope("rg_lru"):
            out = unit(t, inside, r)
        return t.linear("linear_out", t.multiply(out, gate), x.width, bias=True, split=row(r.heads))


def unit(t: Trace, x: Tensor, r: RgLru) -> Tensor:
    """Input and recurrent gates by blocks, then the recurrence."""
    gates = []
    for name in ("input_gate", "recurrent_gate"):
        scores = t.linear(
            f"{name}_weight",
            x,
            r.width,
            module=False,
            groups=r.heads,
            stored=(r.heads, r.block, r.block),
            split=column(r.heads),
        )
        t.hold(t.parameter(f"{name}_bias", (r.heads, r.block), Role.BIAS, split=column(r.heads)))
        gates.append(t.elementwise("sigmoid", scores))
    inside = t.multiply(x, gates[0])
    decay = t.parameter("recurrent_param", (r.width,), Role.STATE, split=column(r.heads))
    return t.scan(
        "rg_lru",
        (inside, gates[1]),
        r.width,
        (decay,),
        heads=r.width,
        key_dim=1,
        value_dim=1,
        states=(State("recurrent", (r.width,), "float32", r.heads),),
    )
