"""A.X K1 and K2: DeepSeek's layers with a norm behind the experts; gated norms and queries."""

from functools import partial

from ..blocks.latent import Indexer, Latent, index, latent, latent_core
from ..blocks.residual import pre_norm
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Tensor
from ..trace import Trace, column, row
from .deepseek import deepseek_experts
from .mixtures import Half, dense, kinds, layers
from .registry import decoder


def has_experts(c: Config) -> list[bool]:
    """By `mlp_layer_types`, else every `moe_layer_freq`-th layer behind the first dense ones."""
    first, step = c.size("first_k_dense_replace", 1, least=0), c.size("moe_layer_freq", 1)
    usual = ["sparse" if i >= first and i % step == 0 else "dense" for i in range(c.layers)]
    return [kind != "dense" for kind in kinds(c, "mlp_layer_types", usual)]


@decoder("axk1")
def axk1(c: Config, m: ModelBuilder) -> None:
    """A.X K1."""
    attention = partial(latent, shape=Latent.of(c), bias=c.flag("attention_bias"))

    def feed_forward(sparse: bool) -> Half:
        if not sparse:
            return dense(c)
        mixture = deepseek_experts(c)
        return lambda t, x: t.norm("mlp.post_mlp_layernorm", mixture(t, x))

    layers(c, m, lambda kind: attention, feed_forward, feeds=has_experts(c))


def gated_norm(t: Trace, x: Tensor, name: str, rank: int) -> Tensor:
    """A norm scaled by the sigmoid of a low-rank block of its own output."""
    with t.scope(name):
        y = t.norm("norm", x)
        with t.scope("mlp"):
            low = t.elementwise("silu", t.linear("fc1", y, rank))
            gate = t.elementwise("sigmoid", t.linear("fc2", low, x.width))
        return t.multiply(y, gate)


def gated_latent(t: Trace, x: Tensor, a: Latent, indexer: Indexer, bias: bool) -> Tensor:
    """Latent attention whose queries come with an output gate, out of the normalised and the raw latent."""
    heads = column(a.heads)
    rank = a.query_rank or 1
    with t.scope("self_attn"):
        raw = t.linear("q_a_proj", x, rank, bias=bias)
        low = t.norm("q_a_layernorm", raw)
        both = t.linear("q_gate_proj", t.concat(low, raw), a.query_width + a.out_width, split=heads)
        q, gate = t.split(both, a.query_width, a.out_width)
        compressed = t.linear("kv_a_proj_with_mqa", x, a.kv_rank + a.rope_dim, bias=bias)
        kv, k_rope = t.split(compressed, a.kv_rank, a.rope_dim)
        expanded = t.linear(
            "kv_b_proj", t.norm("kv_a_layernorm", kv), a.heads * (a.nope_dim + a.value_dim), split=heads
        )
        index(t, x, low, indexer)
        out = latent_core(t, q, expanded, k_rope, a, indexer, sinks=False)
        out = t.multiply(out, t.elementwise("sigmoid", gate))
        return t.linear("o_proj", out, x.width, bias=bias, split=row(a.heads))


@decoder("axk2")
def axk2(c: Config, m: ModelBuilder) -> None:
    """A.X K2: an indexer in every layer, gated norms, gated outputs."""
    shape, indexer, rank = Latent.of(c), Indexer.of(c), c.size("gated_norm_rank")
    if shape.query_rank is None:
        raise c.wrong("q_lora_rank", "config_missing", model_type=c.model_type)
    attention = partial(gated_latent, a=shape, indexer=indexer, bias=c.flag("attention_bias"))
    sparse = has_experts(c)

    def layer(t: Trace, x: Tensor, has_experts: bool) -> Tensor:
        x = t.add(x, attention(t, gated_norm(t, x, "input_layernorm", rank)))
        if has_experts:
            return t.add(x, deepseek_experts(c)(t, gated_norm(t, x, "post_attention_layernorm", rank)))
        return t.add(x, dense(c)(t, t.norm("post_attention_layernorm", x)))

    m.embed("embed_tokens", c.vocab, c.hidden)
    m.stack(c.layers, layer, width=c.hidden, kinds=lambda i: sparse[i])
    m.final_norm("norm", c.hidden)


@decoder("minicpm3", after=lambda c: ("scale",))
def minicpm3(c: Config, m: ModelBuilder) -> None:
    """MiniCPM 3 (arXiv 2404.06395): latent attention over dense layers, constant factors on branches."""
    value_dim = c.maybe("v_head_dim") or c.hidden // c.heads
    a = Latent(
        c.heads,
        c.maybe("q_lora_rank"),
        c.size("kv_lora_rank"),
        c.size("qk_nope_head_dim", least=0),
        c.size("qk_rope_head_dim"),
        value_dim,
        dropout=c.number("attention_dropout", 0.0),
    )
    layers(
        c,
        m,
        lambda kind: partial(latent, shape=a, bias=c.flag("attention_bias")),
        lambda kind: dense(c, bias=c.flag("mlp_bias")),
        scale=True,
        wrap=partial(pre_norm, scale=True),
    )
