"""Multi-head latent attention, and the indexer that picks the tokens it attends to."""

from typing import Self

from msgspec import Struct
from msgspec.structs import replace

from ..config import Config
from ..operations import Role, Tensor
from ..trace import Trace, column, row


class Latent(Struct, frozen=True):
    """Ranks and head widths (DeepSeek-V2, arXiv 2405.04434). `rotary` False: positions are not turned in."""

    heads: int
    query_rank: int | None
    kv_rank: int
    nope_dim: int
    rope_dim: int
    value_dim: int
    rotary: bool = True
    window: int | None = None
    dropout: float = 0.0

    @classmethod
    def of(cls, config: Config, **changes: object) -> Self:
        """By DeepSeek's field names."""
        made = cls(
            config.heads,
            config.maybe("q_lora_rank"),
            config.size("kv_lora_rank"),
            config.size("qk_nope_head_dim", least=0),
            config.size("qk_rope_head_dim"),
            config.size("v_head_dim"),
            dropout=config.number("attention_dropout", 0.0),
        )
        return replace(made, **changes)

    @property
    def key_dim(self) -> int:
        """Width of an expanded query or key head."""
        return self.nope_dim + self.rope_dim

    @property
    def query_width(self) -> int:
        """Elements of all queries of a token."""
        return self.heads * self.key_dim

    @property
    def out_width(self) -> int:
        """Elements that enter the output projection."""
        return self.heads * self.value_dim


class Indexer(Struct, frozen=True):
    """The sparse-attention indexer of DeepSeek-V3.2 (arXiv 2512.02556): few narrow heads, one key.

    `dtype`: of its cached keys, where that is not the model's.
    """

    heads: int
    head_dim: int
    rope_dim: int
    top_k: int
    dtype: str | None = None

    @classmethod
    def of(cls, config: Config, dtype: str | None = None) -> Self:
        """By DeepSeek's field names."""
        made = cls(
            config.size("index_n_heads"),
            config.size("index_head_dim"),
            config.size("qk_rope_head_dim"),
            config.size("index_topk"),
            dtype,
        )
        if made.rope_dim > made.head_dim:
            raise config.wrong(
                "index_head_dim",
                "config_out_of_range",
                value=made.head_dim,
                least=made.rope_dim,
                most=made.heads * made.head_dim,
            )
        return made


def latent(
    t: Trace,
    x: Tensor,
    shape: Latent,
    *,
    module: str = "self_attn",
    bias: bool = False,
    style: str = "rms",
    indexer: Indexer | None = None,
    gate: str | None = None,
    gate_width: int | None = None,
    sinks: bool = False,
    key_norm: str | None = None,
    scaled: bool = False,
) -> Tensor:
    """Keys and values come out of a low-rank latent; queries too where `query_rank` is set.

    `gate` names a projection whose sigmoid scales the output, head by head or (`gate_width`) more finely.
    `key_norm` names a norm of the turned part of the key. `scaled`: constant factors on queries and latent.
    """
    a, heads = shape, column(shape.heads)
    with t.scope(module):
        low, q = latent_queries(t, x, a, bias, style)
        compressed = t.linear("kv_a_proj_with_mqa", x, a.kv_rank + a.rope_dim, bias=bias)
        kv, k_rope = t.split(compressed, a.kv_rank, a.rope_dim)
        kv = t.norm("kv_a_layernorm", kv, style=style)
        if scaled:
            q, kv = t.elementwise("scale", q), t.elementwise("scale", kv)
        if key_norm:
            k_rope = t.norm(key_norm, k_rope, style=style)
        expanded = t.linear("kv_b_proj", kv, a.heads * (a.nope_dim + a.value_dim), split=heads)
        out = latent_core(t, q, expanded, k_rope, a, indexer, sinks)
        if indexer:
            index(t, x, low, indexer)
        if gate:
            scores = t.linear(gate, x, gate_width or a.heads, split=heads)
            out = t.multiply(out, t.elementwise("sigmoid", scores))
        return t.linear("o_proj", out, x.width, bias=bias, split=row(a.heads))


def latent_queries(t: Trace, x: Tensor, a: Latent, bias: bool, style: str) -> tuple[Tensor, Tensor]:
    """The normalised low-rank queries (or the input, where there are none), and the queries."""
    if a.query_rank is None:
        return x, t.linear("q_proj", x, a.query_width, split=column(a.heads))
    low = t.norm("q_a_layernorm", t.linear("q_a_proj", x, a.query_rank, bias=bias), style=style)
    return low, t.linear("q_b_proj", low, a.query_width, split=column(a.heads))


def latent_core(
    t: Trace, q: Tensor, expanded: Tensor, k_rope: Tensor, a: Latent, indexer: Indexer | None, sinks: bool
) -> Tensor:
    """Rotation, the keys put together, attention over all heads."""
    k_nope, v = t.split(expanded, a.heads * a.nope_dim, a.heads * a.value_dim)
    if a.rotary:
        q_nope, q_rope = t.split(q, a.heads * a.nope_dim, a.heads * a.rope_dim)
        q = t.concat(q_nope, t.rotary(q_rope, a.rope_dim))
        k_rope = t.rotary(k_rope, a.rope_dim)
    k = t.concat(k_nope, t.view(k_rope, a.heads * a.rope_dim, kind="expand"))
    sink = t.parameter("sinks", (a.heads,), split=column(a.heads)) if sinks else None
    return t.attention(
        q,
        k,
        v,
        heads=a.heads,
        kv_heads=a.heads,
        key_dim=a.key_dim,
        value_dim=a.value_dim,
        window=a.window,
        sinks=sink,
        dropout=a.dropout,
        latent_parts=(a.kv_rank, a.rope_dim),
        indexer_dim=indexer.head_dim if indexer else 0,
        indexer_dtype=indexer.dtype if indexer else None,
    )


def index(t: Trace, x: Tensor, low: Tensor, i: Indexer) -> Tensor:
    """Scores of all tokens for each query: relu(q k) of every head, weighed and summed, in 32 bits."""
    with t.scope("indexer"):
        q = t.linear("wq_b", low, i.heads * i.head_dim)
        k = t.norm("k_norm", t.linear("wk", x, i.head_dim), style="layer")
        q, k = (index_turn(t, y, i) for y in (q, k))
        weights = t.linear("weights_proj", x, i.heads, role=Role.OTHER)
        return t.index(q, k, weights, heads=i.heads, key_dim=i.head_dim, top_k=i.top_k)


def index_turn(t: Trace, x: Tensor, i: Indexer) -> Tensor:
    """Rotary positions on the first part of every head."""
    heads = x.width // i.head_dim
    turned, passed = t.split(x, heads * i.rope_dim, heads * (i.head_dim - i.rope_dim), kind="slice")
    return t.concat(t.rotary(turned, i.rope_dim), passed)
