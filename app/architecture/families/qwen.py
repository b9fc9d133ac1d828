"""Qwen 2 and 3, dense: windows by layer, normalised heads; the gated attention of later ones."""

from ..blocks.attention import Heads, attend, grouped, turn
from ..blocks.feed_forward import gated
from ..blocks.residual import pre_norm
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Part, Tensor
from ..trace import Trace, column, columns, row
from .llama import activation
from .registry import decoder


def windows(c: Config) -> list[int | None]:
    """The window of each layer: from `max_window_layers` on where `use_sliding_window` is set."""
    window = c.maybe("sliding_window") if c.flag("use_sliding_window") else None
    first = c.size("max_window_layers", 28, least=0)
    types = c.layer_types(
        ["sliding_attention" if window and i >= first else "full_attention" for i in range(c.layers)]
    )
    return [window if kind == "sliding_attention" else None for kind in types]


def dense(c: Config, m: ModelBuilder, *, bias: bool, out_bias: bool, qk_norm: str | None) -> None:
    """The stack that Qwen 2 and 3 share."""
    window = windows(c)

    def layer(t: Trace, x: Tensor, window: int | None) -> Tensor:
        heads = Heads.of(c, window=window)
        return pre_norm(
            t,
            x,
            lambda t, x: grouped(t, x, heads, bias=bias, out_bias=out_bias, qk_norm=qk_norm),
            lambda t, x: gated(t, x, c.inner, activation=activation(c)),
        )

    m.embed("embed_tokens", c.vocab, c.hidden)
    m.stack(c.layers, layer, width=c.hidden, kinds=lambda i: window[i])
    m.final_norm("norm", c.hidden)


@decoder("qwen2")
def qwen2(c: Config, m: ModelBuilder) -> None:
    """Qwen 2 and 2.5 (arXiv 2407.10671): biases on query, key and value."""
    dense(c, m, bias=True, out_bias=False, qk_norm=None)


@decoder("qwen3")
def qwen3(c: Config, m: ModelBuilder) -> None:
    """Qwen 3 (arXiv 2505.09388): every head of query and key normalised."""
    bias = c.flag("attention_bias")
    dense(c, m, bias=bias, out_bias=bias, qk_norm="head")


def is_sparse(c: Config, index: int, count: int) -> bool:
    """Whether layer `index` has experts: every `decoder_sparse_step`-th, except `mlp_only_layers`."""
    only_dense = c.items("mlp_only_layers") or []
    return index not in only_dense and count > 0 and (index + 1) % c.size("decoder_sparse_step", 1) == 0


def gated_attention(
    t: Trace, x: Tensor, heads: Heads, *, bias: bool, qk_style: str = "rms_one_plus", **cache: int
) -> Tensor:
    """Attention whose output a sigmoid gate scales; the gate comes out of the query projection.

    `cache`: what an indexer keeps beside keys and values (`indexer_dim`, `positions`).
    """
    kv_split = column(heads.kv_heads, replicate=True)
    with t.scope("self_attn"):
        both = t.linear("q_proj", x, 2 * heads.query_width, bias=bias,
                        split=columns(Part(2 * heads.query_width, heads.heads)))  # fmt: skip
        q, gate = t.split(both, heads.query_width, heads.query_width, kind="chunk")
        k = t.linear("k_proj", x, heads.key_width, bias=bias, split=kv_split)
        v = t.linear("v_proj", x, heads.value_width, bias=bias, split=kv_split)
        q = t.norm("q_norm", q, style=qk_style, width=heads.head_dim)
        k = t.norm("k_norm", k, style=qk_style, width=heads.head_dim)
        q, k = turn(t, q, k, heads)
        out = t.multiply(attend(t, q, k, v, heads, **cache), t.elementwise("sigmoid", gate))
        return t.linear("o_proj", out, x.width, bias=bias, split=row(heads.heads))
