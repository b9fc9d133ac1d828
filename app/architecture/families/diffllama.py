"""Decoders with an attention of their own: DiffLlama and Doge."""

from functools import partial

from ..blocks.attention import Heads, attend, turn
from ..blocks.feed_forward import gated
from ..blocks.residual import branch
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Role, Tensor
from ..trace import Trace, column, row
from .llama import activation, stack, swiglu
from .registry import decoder


def differential(t: Trace, x: Tensor, shape: Heads, *, bias: bool) -> Tensor:
    """The same scores over both halves of the value heads; half of what comes minus lambda times the rest."""
    kv_split, half = column(shape.kv_heads, replicate=True), shape.out_width
    with t.scope("self_attn"):
        q = t.linear("q_proj", x, shape.query_width, bias=bias, split=column(shape.heads))
        k = t.linear("k_proj", x, shape.key_width, bias=bias, split=kv_split)
        v = t.linear("v_proj", x, shape.value_width, bias=bias, split=kv_split)
        q, k = turn(t, q, k, shape)
        first, second = (
            t.concat(part, part) for part in t.split(v, v.width // 2, v.width // 2, kind="chunk")
        )
        once, again = attend(t, q, k, first, shape), attend_again(t, q, k, second, shape)
        left, right = t.split(t.concat(once, again), half, half, kind="chunk")
        names = ("lambda_q1", "lambda_k1", "lambda_q2", "lambda_k2")
        t.hold(*(t.parameter(name, (shape.head_dim,)) for name in names))
        out = t.add(left, t.elementwise("scale", right))
        out = t.norm("groupnorm", out, style="rms_plain", width=2 * shape.head_dim)
        return t.linear("o_proj", t.elementwise("scale", out), x.width, bias=bias, split=row(shape.heads))


def attend_again(t: Trace, q: Tensor, k: Tensor, v: Tensor, shape: Heads) -> Tensor:
    """Another pass over keys that are cached already."""
    return t.attention(
        q, k, v, heads=shape.heads, kv_heads=shape.kv_heads, key_dim=shape.head_dim, cached=False
    )


@decoder("diffllama")
def diffllama(c: Config, m: ModelBuilder) -> None:
    """DiffLlama: differential attention (arXiv 2410.05258) in Llama's shape."""
    if c.kv_heads % 2:
        raise c.wrong("num_key_value_heads", "config_not_divisible", value=2, of=c.kv_heads)
    stack(c, m, partial(differential, bias=c.flag("attention_bias")), swiglu(c))


def dynamic_mask(t: Trace, x: Tensor, shape: Heads, *, bias: bool) -> Tensor:
    """Grouped attention whose mask comes out of the values: each key scores itself."""
    kv_split = column(shape.kv_heads, replicate=True)
    with t.scope("self_attn"):
        q = t.linear("q_proj", x, shape.query_width, bias=bias, split=column(shape.heads))
        k = t.linear("k_proj", x, shape.key_width, bias=bias, split=kv_split)
        v = t.linear("v_proj", x, shape.value_width, bias=bias, split=kv_split)
        q = t.norm("q_norm", q, width=shape.head_dim)
        k = t.norm("k_norm", k, width=shape.head_dim)
        q, k = turn(t, q, k, shape)
        scores = t.elementwise("softplus", t.linear("dt_proj", v, shape.kv_heads, bias=bias))
        t.hold(t.parameter("A", (shape.kv_heads,), Role.STATE))
        t.elementwise("exp", t.elementwise("scale", scores))
        return t.linear("o_proj", attend(t, q, k, v, shape), x.width, bias=bias, split=row(shape.heads))


def million_experts(t: Trace, x: Tensor, c: Config) -> Tensor:
    """A gated block beside many experts of one neuron each, found by the product of two sets of keys."""
    count, top_k, bias = c.size("num_experts"), c.size("num_experts_per_tok"), c.flag("mlp_bias")
    keys = int(count**0.5)
    with t.scope("mlp"):
        scores = t.linear("router_gate", x, 2 * keys, role=Role.ROUTER)
        weights = t.route(scores, count, top_k)
        tables = [
            t.parameter(f"{name}.weight", (count, x.width), Role.EXPERT, experts=count)
            for name in ("down_embed", "up_embed")
        ]
        routed = t.experts(
            x, weights, tables, count=count, top_k=top_k, width=1, gated=False, activation=activation(c)
        )
    return t.add(gated(t, x, c.inner, activation=activation(c), bias=bias), routed)


@decoder("doge")
def doge(c: Config, m: ModelBuilder) -> None:
    """Doge: dynamic masks, weighted residuals, `is_moe` for cross-domain experts (arXiv 2412.11834)."""
    drop = c.number("hidden_dropout", 0.0)
    attention = partial(dynamic_mask, bias=c.flag("attention_bias"))
    mlp = partial(million_experts, c=c) if c.flag("is_moe") else swiglu(c, bias=c.flag("mlp_bias"))

    def wrap(t: Trace, x: Tensor, mixer: object, feed: object, *, style: str) -> Tensor:
        for part, norm, weight in (
            (mixer, "input_layernorm", "input_residual"),
            (feed, "post_attention_layernorm", "post_attention_residual"),
        ):
            out = branch(t, part(t, t.norm(norm, x, style=style)), drop)  # type: ignore[operator]
            t.hold(t.parameter(weight, (c.hidden,), Role.OTHER))
            x = t.add(t.elementwise("weigh", x), out)
        return x

    stack(c, m, attention, mlp, wrap=wrap, window=[c.maybe("sliding_window")] * c.layers)
