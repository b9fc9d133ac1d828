"""Attention over a window of tokens and over compressed entries that stand for many (DeepSeek-V4)."""

from msgspec import Struct

from ..operations import Compressed, Role, Tensor
from ..trace import Trace, column
from .attention import turn_heads


class Windowed(Struct, frozen=True):
    """One key for all heads, which is the value, too; low-rank queries; output in groups.

    `rate`: tokens of a compressed entry (0: none). `index_heads` > 0: entries overlap and an indexer
    picks among them.
    """

    heads: int
    head_dim: int
    rotary_dim: int
    rank: int
    groups: int
    out_rank: int
    window: int
    rate: int = 0
    index_heads: int = 0
    index_dim: int = 0
    top_k: int = 0
    dropout: float = 0.0

    @property
    def width(self) -> int:
        """Elements of all queries."""
        return self.heads * self.head_dim

    @property
    def doubled(self) -> int:
        """How many windows an entry is made of."""
        return 2 if self.index_heads else 1

    @property
    def compressed(self) -> tuple[Compressed, ...]:
        """What is kept beside the window: keys and gates wait until an entry is full."""
        if not self.rate:
            return ()
        widths = (self.head_dim, self.index_dim) if self.index_heads else (self.head_dim,)
        overlaps = 2 if self.index_heads else 0
        return tuple(Compressed(self.rate, n, 2 * self.doubled * n, overlaps * n) for n in widths)


def windowed(t: Trace, x: Tensor, w: Windowed, *, module: str = "self_attn") -> Tensor:
    """Queries, the one key, compressed entries, attention with sinks, rotation back, grouped output."""
    heads = column(w.heads)
    with t.scope(module):
        low = t.norm("q_a_norm", t.linear("q_a_proj", x, w.rank))
        q = t.norm(
            "q_b_norm",
            t.linear("q_b_proj", low, w.width, split=heads),
            style="rms_plain",
            weight=False,
            width=w.head_dim,
        )
        q = turn_heads(t, q, w.head_dim, w.rotary_dim)
        kv = turn_heads(t, t.norm("kv_norm", t.linear("kv_proj", x, w.head_dim)), w.head_dim, w.rotary_dim)
        if w.rate:
            with t.scope("compressor"):
                kv = t.concat(kv, compressor(t, x, w, w.head_dim))
                if w.index_heads:
                    indexer(t, x, low, w)
        sinks = t.parameter("sinks", (w.heads,), split=heads)
        out = t.attention(
            q,
            kv,
            kv,
            heads=w.heads,
            kv_heads=1,
            key_dim=w.head_dim,
            window=w.window,
            sinks=sinks,
            dropout=w.dropout,
            shared_values=True,
            compressed=w.compressed,
        )
        out = turn_heads(t, out, w.head_dim, w.rotary_dim)
        out = t.linear("o_a_proj", out, w.groups * w.out_rank, groups=w.groups, split=column(w.groups))
        return t.linear("o_b_proj", out, x.width)


def compressor(t: Trace, x: Tensor, w: Windowed, width: int) -> Tensor:
    """Keys of `rate` tokens (of twice as many where entries overlap), weighed by a softmax of their gates.

    The entry's rows are a `rate`-th of the tokens; as a tensor it is recorded with its share of a token.
    """
    wide = w.doubled * width
    kv, gate = t.linear("kv_proj", x, wide), t.linear("gate_proj", x, wide)
    t.hold(t.parameter("position_bias", (w.rate, wide)))
    mixed = t.multiply(kv, t.elementwise("softmax", gate))
    entry = t.elementwise("sum", mixed, width=max(1, width // w.rate))
    return t.norm("kv_norm", entry, shape=(width,))


def indexer(t: Trace, x: Tensor, low: Tensor, w: Windowed) -> Tensor:
    """Scores of all entries for each query, by narrow heads over entries of their own."""
    with t.scope("indexer"):
        k = compressor(t, x, w, w.index_dim)
        q = turn_heads(
            t,
            t.linear("q_b_proj", low, w.index_heads * w.index_dim),
            w.index_dim,
            min(w.rotary_dim, w.index_dim),
        )
        weights = t.linear("scorer.weights_proj", x, w.index_heads, role=Role.OTHER)
        return t.index(
            q,
            k,
            weights,
            heads=w.index_heads,
            key_dim=w.index_dim,
            top_k=w.top_k,
            ratio=w.rate,
            product=False,
        )
