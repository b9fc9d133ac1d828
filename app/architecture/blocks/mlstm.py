"""xLSTM's matrix memory: linear attention with exponential gates (arXiv 2405.04517)."""

from msgspec import Struct

from ..operations import Part, State, Tensor
from ..trace import Trace, column, columns, row


class Mlstm(Struct, frozen=True):
    """Heads, widths of all keys and of all values, of one cached head of each, and a chunk's tokens.

    `fused`: query, key, value and output gate in one matrix, both gates in another.
    """

    heads: int
    keys: int
    values: int
    state: tuple[int, int]
    chunk: int
    bias: bool = False
    fused: bool = False


def mlstm(t: Trace, x: Tensor, m: Mlstm, *, module: str = "mlstm_layer") -> Tensor:
    """Queries, keys, values and capped gates; the memory; heads normalised; output gate.

    Memory, normaliser and maximum are kept in the model's data type (`xLSTMCache`).
    """
    with t.scope(module):
        q, k, v, out_gate, gates = projections(t, x, m)
        gates = t.elementwise("softcap", gates)
        key, value = m.state
        states = (
            State("memory", (m.heads, key, value)),
            State("normaliser", (m.heads, key)),
            State("maximum", (m.heads, 1)),
        )
        y = t.scan(
            "mlstm",
            (q, k, v, gates),
            m.values,
            heads=m.heads,
            key_dim=m.keys // m.heads,
            value_dim=m.values // m.heads,
            chunk=m.chunk,
            states=states,
        )
        y = t.norm(
            "multihead_norm", y, style="layer", width=m.values // m.heads, shape=(m.values,), bias=m.bias
        )
        y = t.multiply(t.elementwise("sigmoid", out_gate), y)
        return t.linear("out_proj", y, x.width, bias=m.bias, split=row(m.heads))


def projections(t: Trace, x: Tensor, m: Mlstm) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Query, key, value, output gate, and input beside forget gates."""
    sizes = (m.keys, m.keys, m.values, m.values)
    if m.fused:
        split = columns(*(Part(size, m.heads) for size in sizes))
        q, k, v, gate = t.split(t.linear("qkv_opreact", x, sum(sizes), bias=m.bias, split=split), *sizes)
        return q, k, v, gate, t.linear("ifgate_preact", x, 2 * m.heads, bias=True)
    heads = column(m.heads)
    names = ("q", "k", "v", "ogate_preact")
    q, k, v, gate = (
        t.linear(name, x, size, bias=m.bias, split=heads) for name, size in zip(names, sizes, strict=True)
    )
    gates = (t.linear(f"{name}gate_preact", x, m.heads, bias=True, split=heads) for name in "if")
    return q, k, v, gate, t.concat(*gates)
