"""Decoders in fairseq's shape: OPT, XGLM, BioGPT; CTRL beside them."""

from functools import partial
from typing import Any

from ..blocks.attention import grouped
from ..blocks.feed_forward import plain
from ..blocks.residual import outer_norm, pre_norm
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .gpt import all_heads
from .registry import body, decoder, family

NAMES = ("q_proj", "k_proj", "v_proj", "out_proj")
NORMS = ("self_attn_layer_norm", "final_layer_norm")


def fairseq_layer(
    c: Config,
    *,
    inner: int,
    activation: str,
    dropout: float,
    attention_dropout: float,
    inner_dropout: float = 0.0,
    bias: bool = True,
    is_pre: bool = True,
    query_scale: bool = False,
    float32_softmax: bool = True,
    style: str = "layer",
) -> Any:
    """A layer of separate biased projections and `fc1`, `fc2` beside them; norms inside or outside."""
    heads = all_heads(c, dropout=attention_dropout, float32_softmax=float32_softmax)
    attention = partial(grouped, shape=heads, names=NAMES, bias=bias, query_scale=query_scale)

    def mlp(t: Trace, x: Tensor) -> Tensor:
        return plain(
            t,
            x,
            inner,
            module="",
            names=("fc1", "fc2"),
            activation=activation,
            bias=bias,
            inner_dropout=inner_dropout,
        )

    wrap = pre_norm if is_pre else outer_norm
    return lambda t, x: wrap(t, x, attention, mlp, names=NORMS, style=style, dropout=dropout)


@body("opt")
def opt_body(c: Config, m: ModelBuilder) -> None:
    """The decoder below the head: embedding width may differ from the layers'."""
    narrow = c.size("word_embed_proj_dim", c.hidden)
    affine, is_pre = c.flag("layer_norm_elementwise_affine", True), c.flag("do_layer_norm_before", True)
    style = "layer" if affine else "layer_plain"

    def embed(t: Trace) -> Tensor:
        x = t.embedding("embed_tokens", c.vocab, narrow)
        positions = t.embedding("embed_positions", c.size("max_position_embeddings") + 2, c.hidden)
        if narrow != c.hidden:
            x = t.linear("project_in", x, c.hidden)
        return t.add(x, positions)

    layer = fairseq_layer(
        c,
        inner=c.size("ffn_dim"),
        activation=c.text("activation_function"),
        dropout=c.number("dropout", 0.0),
        attention_dropout=c.number("attention_dropout", 0.0),
        bias=c.flag("enable_bias", True),
        is_pre=is_pre,
        query_scale=True,
        style=style,
    )
    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    m.single("embedding", embed)
    m.stack(c.layers, layer, width=c.hidden)
    if is_pre and not c.flag("_remove_final_layer_norm"):
        m.final_norm("final_layer_norm", c.hidden, style=style)
    if narrow != c.hidden:
        m.single("projector", lambda t: t.linear("project_out", t.input(c.hidden), narrow))


@family("opt")
def opt(c: Config, m: ModelBuilder) -> None:
    """OPT (arXiv 2205.01068)."""
    with m.prefix("model.decoder"):
        opt_body(c, m)
    m.head("lm_head", c.size("word_embed_proj_dim", c.hidden), c.vocab, tied=c.tied)


@decoder("xglm")
def xglm(c: Config, m: ModelBuilder) -> None:
    """XGLM (arXiv 2112.10668): sinusoidal positions, scaled embedding."""
    drop = c.number("dropout", 0.0)
    layer = fairseq_layer(
        c,
        inner=c.size("ffn_dim"),
        activation=c.text("activation_function"),
        dropout=drop,
        attention_dropout=c.number("attention_dropout", 0.0),
        inner_dropout=c.number("activation_dropout", 0.0),
        query_scale=True,
        float32_softmax=False,
    )
    m.embed("embed_tokens", c.vocab, c.hidden, scale=True, sinusoidal=True, dropout=drop)
    m.stack(c.layers, layer, width=c.hidden)
    m.final_norm("layer_norm", c.hidden, style="layer")


@decoder("biogpt", prefix="biogpt", head="output_projection")
def biogpt(c: Config, m: ModelBuilder) -> None:
    """BioGPT (arXiv 2210.10341)."""
    drop = c.number("hidden_dropout_prob", 0.0)
    layer = fairseq_layer(
        c,
        inner=c.inner,
        activation=c.text("hidden_act"),
        dropout=drop,
        attention_dropout=c.number("attention_probs_dropout_prob", 0.0),
        inner_dropout=c.number("activation_dropout", 0.0),
        float32_softmax=False,
    )
    tables = (("embed_positions", c.size("max_position_embeddings") + 2, Axis.SEQUENCE),)
    m.embed("embed_tokens", c.vocab, c.hidden, scale=True, tables=tables, dropout=drop)
    m.stack(c.layers, layer, width=c.hidden)
    m.final_norm("layer_norm", c.hidden, style="layer")


@decoder("ctrl", prefix="transformer", bias=True)
def ctrl(c: Config, m: ModelBuilder) -> None:
    """CTRL (arXiv 1909.05858): sinusoidal positions, scaled embedding."""
    heads = all_heads(c, dropout=0.0, float32_softmax=False)
    attention = partial(
        grouped, shape=heads, module="multi_head_attention", names=("Wq", "Wk", "Wv", "dense"), bias=True
    )
    mlp = partial(plain, inner=c.size("dff"), module="ffn", names=("0", "2"), activation="relu")
    drop, names = c.number("resid_pdrop", 0.0), ("layernorm1", "layernorm2")

    def layer(t: Trace, x: Tensor) -> Tensor:
        return pre_norm(t, x, attention, mlp, names=names, style="layer", dropout=drop)

    m.embed("w", c.vocab, c.hidden, scale=True, sinusoidal=True, dropout=c.number("embd_pdrop", 0.0))
    m.stack(c.layers, layer, width=c.hidden, name="h.{}")
    m.final_norm("layernorm", c.hidden, style="layer")
