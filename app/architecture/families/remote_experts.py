"""Lineages whose modelling code lives in their own repositories, mixtures of experts."""

from functools import partial

from ..blocks.attention import Heads, attend, grouped, turn
from ..blocks.feed_forward import gated, sparse
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Tensor
from ..trace import Trace, column, row
from .llama import activation
from .mixtures import Half, chosen, dense, experts, layers
from .registry import decoder


@decoder("deepseek")
def deepseek(c: Config, m: ModelBuilder) -> None:
    """DeepSeekMoE (arXiv 2401.06066): plain attention, dense layers first, shared experts."""
    attention = partial(grouped, shape=Heads.of(c), bias=c.flag("attention_bias"))
    first, period = c.size("first_k_dense_replace", 0, least=0), c.size("moe_layer_freq", 1)
    shared = c.size("moe_intermediate_size") * c.size("n_shared_experts", 0, least=0)
    routed = c.maybe("n_routed_experts") is not None

    def feed(sparse: bool) -> Half:
        return experts(c, "n_routed_experts", shared_inner=shared) if sparse else dense(c)

    places = [routed and i >= first and i % period == 0 for i in range(c.layers)]
    layers(c, m, lambda kind: attention, feed, feeds=places)


@decoder("arctic")
def arctic(c: Config, m: ModelBuilder) -> None:
    """Snowflake Arctic: experts in parallel with a dense residual block of the model's own width."""
    attention = partial(grouped, shape=Heads.of(c), bias=c.flag("attention_bias"))
    count, top_k = chosen(c, "num_local_experts", "num_experts_per_tok")
    beside = c.flag("parallel_attn_mlp_res") and c.flag("use_residual", True)
    names = ("w1", "w3", "w2")

    def layer(t: Trace, x: Tensor, has_experts: bool) -> Tensor:
        entry = x
        x = t.add(x, attention(t, t.norm("input_layernorm", x)))
        out = x
        if has_experts and beside:
            normed = t.norm("residual_layernorm", x)
            out = t.add(
                x, gated(t, normed, c.hidden, module="residual_mlp", names=names, activation=activation(c))
            )
        normed = t.norm("post_attention_layernorm", entry if has_experts and beside else x)
        if has_experts:
            made = sparse(t, normed, count=count, top_k=top_k, inner=c.inner, module="block_sparse_moe",
                          activation=activation(c))  # fmt: skip
        else:
            made = gated(
                t, normed, c.inner, module="block_sparse_moe.mlp", names=names, activation=activation(c)
            )
        return t.add(out, made)

    m.embed("embed_tokens", c.vocab, c.hidden)
    period = c.size("moe_layer_frequency", 1)
    m.stack(c.layers, layer, width=c.hidden, kinds=lambda i: (i + 1) % period == 0)
    m.final_norm("norm", c.hidden)


@decoder("hunyuan")
def hunyuan(c: Config, m: ModelBuilder) -> None:
    """Hunyuan-Large (arXiv 2411.02265): neighbours share keys and values, one expert is always on."""
    shape, share = Heads.of(c), c.size("cla_share_factor", 1) if c.flag("use_cla") else 1
    norm = "head" if c.flag("use_qk_norm") else None
    whole = partial(grouped, shape=shape, bias=c.flag("attention_bias"), qk_norm=norm, norm_last=True,
                    qk_names=("query_layernorm", "key_layernorm"))  # fmt: skip
    sharing = partial(borrowed, shape=shape, bias=c.flag("attention_bias"), norm=norm is not None)
    count, top_k = chosen(c, "num_experts", "moe_topk")
    shared = c.inner * c.size("num_shared_expert", 1) if c.flag("use_mixed_mlp_moe") else 0
    feed = dense(c) if count == 1 else partial(
        sparse, count=count, top_k=top_k, inner=c.inner, shared_inner=shared, shared_name="shared_mlp",
        gate="gate.wg", router_module=True, activation=activation(c))  # fmt: skip
    layers(
        c,
        m,
        lambda own: whole if own else sharing,
        lambda kind: feed,
        mixers=[i % share == 0 for i in range(c.layers)],
    )


def borrowed(t: Trace, x: Tensor, shape: Heads, *, bias: bool, norm: bool) -> Tensor:
    """Attention over the keys and values that an earlier layer has kept."""
    k, v = t.input(shape.key_width), t.input(shape.value_width)
    with t.scope("self_attn"):
        q = t.linear("q_proj", x, shape.query_width, bias=bias, split=column(shape.heads))
        q, _ = turn(t, q, k, shape)
        if norm:
            q = t.norm("query_layernorm", q, width=shape.head_dim)
        out = attend(t, q, k, v, _uncached(shape))
        return t.linear("o_proj", out, x.width, bias=bias, split=row(shape.heads))


def _uncached(shape: Heads) -> Heads:
    return Heads(shape.heads, shape.kv_heads, shape.head_dim, shape.value_dim, shape.rotary_dim, cached=False)
