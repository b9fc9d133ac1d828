"""Parallel residuals and partly rotary heads: GPT-J, CodeGen, GPT-NeoX, Persimmon, Falcon."""

from functools import partial

from ..blocks.attention import Heads, fused, grouped
from ..blocks.feed_forward import plain
from ..blocks.residual import parallel, pre_norm
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Role, Tensor
from ..trace import Trace
from .gpt import all_heads, inner_width
from .llama import activation
from .registry import decoder


def gptj_stack(c: Config, m: ModelBuilder, *, is_fused: bool) -> None:
    """GPT-J's layers: one norm before both halves, scores in fp32, biases in the feed-forward block alone."""
    heads = all_heads(c, rotary_dim=c.maybe("rotary_dim"), float32_scores=True)
    if is_fused:
        attention = partial(fused, shape=heads, module="attn", names=("qkv_proj", "out_proj"))
    else:
        names = ("q_proj", "k_proj", "v_proj", "out_proj")
        attention = partial(grouped, shape=heads, module="attn", names=names)
    act = c.text("activation_function")
    mlp = partial(plain, inner=inner_width(c), names=("fc_in", "fc_out"), activation=act)
    drop = c.number("resid_pdrop", 0.0)

    def layer(t: Trace, x: Tensor) -> Tensor:
        return parallel(t, x, attention, mlp, names=("ln_1",), dropout=drop)

    m.embed("wte", c.vocab, c.hidden, dropout=c.number("embd_pdrop", 0.0))
    m.stack(c.layers, layer, width=c.hidden, name="h.{}")
    m.final_norm("ln_f", c.hidden, style="layer")


@decoder("gptj", prefix="transformer", bias=True)
def gptj(c: Config, m: ModelBuilder) -> None:
    """GPT-J-6B."""
    gptj_stack(c, m, is_fused=False)


@decoder("codegen", prefix="transformer", bias=True)
def codegen(c: Config, m: ModelBuilder) -> None:
    """CodeGen (arXiv 2203.13474): GPT-J with one matrix for query, value and key."""
    gptj_stack(c, m, is_fused=True)


@decoder("gpt_neox", prefix="gpt_neox")
def gpt_neox(c: Config, m: ModelBuilder) -> None:
    """GPT-NeoX and Pythia (arXiv 2204.06745): rotation of a quarter of each head, parallel residual."""
    heads, bias = Heads.of(c), c.flag("attention_bias", True)
    names = ("input_layernorm", "post_attention_layernorm")
    attention = partial(fused, shape=heads, module="attention", names=("query_key_value", "dense"), bias=bias)
    mlp = partial(plain, inner=c.inner, names=("dense_h_to_4h", "dense_4h_to_h"), activation=activation(c))
    wrap = partial(
        parallel if c.flag("use_parallel_residual") else pre_norm, mixer=attention, feed_forward=mlp
    )
    drop = c.number("hidden_dropout", 0.0)

    m.embed("embed_in", c.vocab, c.hidden, dropout=drop)
    m.stack(c.layers, lambda t, x: wrap(t, x, names=names, style="layer", dropout=drop), width=c.hidden)
    m.final_norm("final_layer_norm", c.hidden, style="layer")


@decoder("gpt_neox_japanese", prefix="gpt_neox_japanese", head="embed_out")
def gpt_neox_japanese(c: Config, m: ModelBuilder) -> None:
    """GPT-NeoX Japanese: no biases but one behind the last layer's attention."""
    heads = Heads.of(c, float32_softmax=False)
    inner = int(c.hidden * c.number("intermediate_multiple_size"))
    names, drop = ("dense_h_to_4h", "dense_4h_to_h"), c.number("hidden_dropout", 0.0)
    mlp = partial(plain, inner=inner, names=names, activation=activation(c), bias=False)

    def layer(t: Trace, x: Tensor, is_last: bool) -> Tensor:
        def attention(t: Trace, x: Tensor) -> Tensor:
            out = fused(t, x, heads, module="attention", names=("query_key_value", "dense"))
            if is_last:
                t.hold(t.parameter("attention.dense_bias", (c.hidden,), Role.BIAS))
                out = t.elementwise("scale", out)
            return out

        return pre_norm(t, x, attention, mlp, style="layer", dropout=drop)

    m.embed("embed_in", c.vocab, c.hidden)
    m.stack(c.layers, layer, width=c.hidden, kinds=lambda i: i == c.layers - 1)
    m.final_norm("final_layer_norm", c.hidden, style="layer")


@decoder("persimmon")
def persimmon(c: Config, m: ModelBuilder) -> None:
    """Persimmon: normalised heads out of a fused projection, squared ReLU."""
    heads = all_heads(c, rotary_dim=Heads.of(c).rotary_dim, dropout=c.number("attention_dropout", 0.0))
    qk_norm = "head" if c.flag("qk_layernorm") else None
    attention = partial(
        fused,
        shape=heads,
        names=("query_key_value", "dense"),
        bias=True,
        qk_norm=qk_norm,
        qk_style="layer",
        qk_names=("q_layernorm", "k_layernorm"),
    )
    names, drop = ("dense_h_to_4h", "dense_4h_to_h"), c.number("hidden_dropout", 0.0)
    mlp = partial(plain, inner=c.inner, names=names, activation=activation(c), dropout=drop)

    m.embed("embed_tokens", c.vocab, c.hidden)
    m.stack(c.layers, lambda t, x: pre_norm(t, x, attention, mlp, style="layer"), width=c.hidden)
    m.final_norm("final_layernorm", c.hidden, style="layer")


def falcon_heads(c: Config) -> Heads:
    """One shared key-value head, all, or `num_kv_heads` in the newer form, which repeats them first."""
    is_new = c.flag("new_decoder_architecture")
    shared = 1 if c.flag("multi_query") else c.heads
    kv_heads = c.size("num_kv_heads", c.heads) if is_new else shared
    if c.heads % kv_heads:
        raise c.wrong("num_kv_heads", "config_not_divisible", value=kv_heads, of=c.heads)
    alibi = c.flag("alibi")
    drop = c.number("attention_dropout", 0.0)
    return all_heads(
        c,
        kv_heads,
        rotary_dim=0 if alibi else None,
        score_bias=alibi,
        dropout=drop,
        float32_softmax=False,
        kept_heads=c.heads if is_new else 0,
        broadcast=kv_heads == 1,
    )


@decoder("falcon", prefix="transformer")
def falcon(c: Config, m: ModelBuilder) -> None:
    """Falcon (arXiv 2311.16867)."""
    heads, bias = falcon_heads(c), c.flag("bias")
    norms = c.maybe("num_ln_in_parallel_attn", least=0)
    if norms is None and c.flag("new_decoder_architecture"):
        norms = 2
    attention = partial(
        fused, shape=heads, module="self_attention", names=("query_key_value", "dense"), bias=bias
    )
    mlp = partial(
        plain,
        inner=c.maybe("ffn_hidden_size") or 4 * c.hidden,
        names=("dense_h_to_4h", "dense_4h_to_h"),
        activation=c.text("activation"),
        bias=bias,
    )
    drop = c.number("hidden_dropout", 0.0)

    def layer(t: Trace, x: Tensor) -> Tensor:
        if not c.flag("parallel_attn"):
            return pre_norm(t, x, attention, mlp, style="layer", dropout=drop)
        names = ("ln_attn", "ln_mlp") if norms == 2 else ("input_layernorm",)
        return parallel(t, x, attention, mlp, names=names, style="layer")

    m.embed("word_embeddings", c.vocab, c.hidden)
    m.stack(c.layers, layer, width=c.hidden, name="h.{}")
    m.final_norm("ln_f", c.hidden, style="layer")
