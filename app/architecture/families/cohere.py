"""Cohere's Command: parallel halves under one norm, logits scaled."""

from functools import partial

from ..blocks.attention import Heads, attend, grouped, turn
from ..blocks.residual import parallel
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Tensor
from ..trace import Trace, column, row
from .llama import every, stack, swiglu, windows
from .registry import decoder, scaled


def normed_heads(t: Trace, x: Tensor, shape: Heads, *, bias: bool) -> Tensor:
    """Every head of query and key normalised with a weight of its own, [heads, head_dim]."""
    with t.scope("self_attn"):
        kv_split = column(shape.kv_heads, replicate=True)
        q = t.linear("q_proj", x, shape.query_width, bias=bias, split=column(shape.heads))
        k = t.linear("k_proj", x, shape.key_width, bias=bias, split=kv_split)
        v = t.linear("v_proj", x, shape.value_width, bias=bias, split=kv_split)
        q = t.norm(
            "q_norm",
            q,
            style="layer_wide",
            width=shape.head_dim,
            shape=(shape.heads, shape.head_dim),
            split=column(shape.heads),
        )
        k = t.norm(
            "k_norm",
            k,
            style="layer_wide",
            width=shape.head_dim,
            shape=(shape.kv_heads, shape.head_dim),
            split=kv_split,
        )
        q, k = turn(t, q, k, shape)
        out = attend(t, q, k, v, shape)
        return t.linear("o_proj", out, x.width, bias=bias, split=row(shape.heads))


@decoder("cohere", after=scaled)
def cohere(c: Config, m: ModelBuilder) -> None:
    """Command R and R+; `use_qk_norm` for the larger."""
    attention = partial(normed_heads if c.flag("use_qk_norm") else grouped, bias=c.flag("attention_bias"))
    stack(c, m, attention, swiglu(c), wrap=parallel, style="layer_wide")


@decoder("cohere2", after=scaled)
def cohere2(c: Config, m: ModelBuilder) -> None:
    """Command R7B and A (arXiv 2504.00698): three local layers, then a global one without positions."""
    types = c.layer_types(every(c.size("sliding_window_pattern", 4), c.layers))
    window = windows(c, types)
    attention = partial(grouped, bias=c.flag("attention_bias"))
    turned = [kept is not None for kept in window]
    stack(c, m, attention, swiglu(c), wrap=parallel, style="layer_wide", window=window, turned=turned)


@decoder("cohere_compass_text", after=scaled)
def cohere_compass_text(c: Config, m: ModelBuilder) -> None:
    """The text half of Compass: Command R7B's layers; those whose kind has rotary parameters are turned."""
    types = c.layer_types(["full_attention"] * c.layers)
    rotary = c.mapping("rope_parameters")
    turned = [not rotary or rotary.get(kind) is not None for kind in types]
    attention, window = partial(grouped, bias=c.flag("attention_bias")), windows(c, types)
    stack(c, m, attention, swiglu(c), wrap=parallel, style="layer_wide", window=window, turned=turned)
