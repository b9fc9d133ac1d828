"""StarCoder 2 and StableLM: LayerNorm in Llama's shape."""

from functools import partial

from ..blocks.attention import Heads, attend, grouped, turn
from ..blocks.feed_forward import plain
from ..blocks.residual import branch, parallel
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Tensor
from ..trace import Trace, column, row
from .llama import activation, stack, swiglu
from .registry import decoder


@decoder("starcoder2")
def starcoder2(c: Config, m: ModelBuilder) -> None:
    """StarCoder 2 (arXiv 2402.19173): biases everywhere, one window for all layers."""
    bias = c.flag("use_bias", True)
    mlp = partial(plain, inner=c.inner, names=("c_fc", "c_proj"), activation=activation(c), bias=bias)
    window = [c.maybe("sliding_window")] * c.layers
    embed, drop = {"dropout": c.number("embedding_dropout", 0.0)}, c.number("residual_dropout", 0.0)
    stack(c, m, partial(grouped, bias=bias), mlp, style="layer", window=window, embed=embed, dropout=drop)


def norm_per_head(t: Trace, name: str, x: Tensor, head_dim: int) -> Tensor:
    """A LayerNorm of its own for every head, joined again."""
    heads = t.split(x, *[head_dim] * (x.width // head_dim))
    with t.scope(f"{name}.norms"):
        return t.concat(*(t.norm(str(i), head, style="layer", bias=False) for i, head in enumerate(heads)))


def stable_attention(t: Trace, x: Tensor, shape: Heads, *, bias: bool, qk_norm: bool) -> Tensor:
    """Grouped attention whose heads may each have a norm."""
    if not qk_norm:
        return grouped(t, x, shape, bias=bias, out_bias=False)
    kv_split = column(shape.kv_heads, replicate=True)
    with t.scope("self_attn"):
        q = t.linear("q_proj", x, shape.query_width, bias=bias, split=column(shape.heads))
        k = t.linear("k_proj", x, shape.key_width, bias=bias, split=kv_split)
        v = t.linear("v_proj", x, shape.value_width, bias=bias, split=kv_split)
        q = norm_per_head(t, "q_layernorm", q, shape.head_dim)
        k = norm_per_head(t, "k_layernorm", k, shape.head_dim)
        q, k = turn(t, q, k, shape)
        return t.linear("o_proj", attend(t, q, k, v, shape), x.width, split=row(shape.heads))


def stable_layer(t: Trace, x: Tensor, mixer: object, mlp: object, *, style: str, dropout: float) -> Tensor:
    """Norm, attention, norm, feed-forward; only the second branch is dropped out."""
    x = t.add(x, mixer(t, t.norm("input_layernorm", x, style=style)))  # type: ignore[operator]
    fed = mlp(t, t.norm("post_attention_layernorm", x, style=style))  # type: ignore[operator]
    return t.add(x, branch(t, fed, dropout))


@decoder("stablelm")
def stablelm(c: Config, m: ModelBuilder) -> None:
    """StableLM 3B to 12B (arXiv 2402.17834): a quarter of each head turned."""
    qk_norm = c.flag("qk_layernorm") and c.count("num_attention_heads") > 0  # heads are walked one by one
    attention = partial(stable_attention, bias=c.flag("use_qkv_bias"), qk_norm=qk_norm)
    wrap = parallel if c.flag("use_parallel_residual") else stable_layer
    stack(c, m, attention, swiglu(c), wrap=wrap, style="layer", dropout=c.number("hidden_dropout", 0.0))
