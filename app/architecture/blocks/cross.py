"""Attention to what another stack made: an encoder's tokens, a picture's patches."""

from ..operations import Axis, Tensor
from ..trace import Trace, column, row
from .attention import Heads


def cross_attention(
    t: Trace,
    x: Tensor,
    shape: Heads,
    *,
    module: str = "encoder_attn",
    names: tuple[str, str, str, str] = ("q_proj", "k_proj", "v_proj", "out_proj"),
    source: int | None = None,
    bias: bool = False,
    key_bias: bool | None = None,
    out_bias: bool | None = None,
    qk_norm: str | None = None,
    qk_style: str = "rms",
    qk_names: tuple[str, str] = ("q_norm", "k_norm"),
    axis: Axis = Axis.SOURCE,
    out: int | None = None,
) -> Tensor:
    """Queries of `x`, keys and values of the source (as wide as `x` or `source`), kept once computed.

    `key_bias` [bias] tells a key projection apart; `axis` is what the source's rows are; `out` [as wide
    as `x`] is the output's width.
    """
    seen = t.input(source or x.width, axis)
    kv_split = column(shape.kv_heads, replicate=True)
    with t.scope(module):
        q = t.linear(names[0], x, shape.query_width, bias=bias, split=column(shape.heads))
        k = t.linear(
            names[1], seen, shape.key_width, bias=bias if key_bias is None else key_bias, split=kv_split
        )
        v = t.linear(names[2], seen, shape.value_width, bias=bias, split=kv_split)
        if qk_norm:
            width = shape.head_dim if qk_norm == "head" else None
            q, k = (
                t.norm(name, x, style=qk_style, width=width) for name, x in zip(qk_names, (q, k), strict=True)
            )
        mixed = t.attention(
            q,
            k,
            v,
            heads=shape.heads,
            kv_heads=shape.kv_heads,
            key_dim=shape.head_dim,
            value_dim=shape.value_dim,
            causal=False,
            cross=True,
            dropout=shape.dropout,
            cached=shape.cached,
            softcap=shape.softcap,
            bias=shape.score_bias,
        )
        return t.linear(
            names[3],
            mixed,
            out or x.width,
            bias=bias if out_bias is None else out_bias,
            split=row(shape.heads),
        )
