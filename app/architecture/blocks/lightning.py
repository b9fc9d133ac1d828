"""Lightning attention: linear attention with a fixed decay for every head, block by block."""

from msgspec import Struct

from ..operations import Parameter, Role, State, Tensor
from ..trace import Trace, column, row


class Lightning(Struct, frozen=True):
    """Heads, the width of each, and the tokens of a block (arXiv 2401.04658)."""

    heads: int
    head_dim: int
    block: int

    @property
    def width(self) -> int:
        """Elements of all queries, of all keys, of all values."""
        return self.heads * self.head_dim


def lightning(t: Trace, x: Tensor, shape: Lightning, *, module: str = "self_attn") -> Tensor:
    """Activated queries, keys and values; blocks and the state between them; norm; sigmoid gate.

    The state is kept in the model's data type (`MiniMaxCache.linear_cache`); the decay tables are
    buffers that checkpoints hold.
    """
    heads = column(shape.heads)
    with t.scope(module):
        qkv = t.elementwise("silu", t.linear("qkv_proj", x, 3 * shape.width, split=heads))
        parts = t.split(qkv, shape.width, shape.width, shape.width)
        state = State("linear", (shape.heads, shape.head_dim, shape.head_dim), None, shape.heads)
        out = t.scan(
            "lightning",
            parts,
            shape.width,
            decay(t, shape),
            heads=shape.heads,
            key_dim=shape.head_dim,
            value_dim=shape.head_dim,
            chunk=shape.block,
            states=(state,),
        )
        out = t.norm("norm", out)
        gate = t.elementwise("sigmoid", t.linear("output_gate", x, shape.width, split=heads))
        return t.linear("out_proj", t.multiply(gate, out), x.width, split=row(shape.heads))


def decay(t: Trace, shape: Lightning) -> list[Parameter]:
    """The slope of every head and what it makes of each distance in a block."""
    tables = {
        "slope_rate": (shape.heads, 1, 1),
        "query_decay": (shape.heads, shape.block, 1),
        "key_decay": (shape.heads, shape.block, 1),
        "diagonal_decay": (1, shape.heads, shape.block, shape.block),
    }
    return [t.parameter(name, size, Role.STATE, buffer=True) for name, size in tables.items()]
