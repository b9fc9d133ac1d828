"""The GPT line: learned positions and biases (GPT-2), parallel residuals (GPT-NeoX, Falcon)."""

from ..builder import ModelBuilder
from ..blocks.attention import Heads, fused
from ..blocks.feed_forward import plain
from ..blocks.residual import parallel, pre_norm
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .registry import decoder


@decoder("gpt2", prefix="transformer")
def gpt2(c: Config, m: ModelBuilder) -> None:
    """GPT-2: learned positions, input-major projections with biases, LayerNorm."""
    heads = Heads(
        c.heads, c.heads, c.head_dim, rotary_dim=0, dropout=c.number("attn_pdrop", 0.0), float32_softmax=False
    )
    drop = c.number("resid_pdrop", 0.0)

    def layer(t: Trace, x: Tensor) -> Tensor:
        def attention(t: Trace, x: Tensor) -> Tensor:
            out = fused(t, x, heads, module="attn", names=("c_attn", "c_proj"), bias=True, transposed=True)
            return t.elementwise("dropout", out, dropout=drop)

        return pre_norm(
            t,
            x,
            attention,
            lambda t, x: plain(
                t,
                x,
                c.maybe("n_inner") or 4 * c.hidden,
                names=("c_fc", "c_proj"),
                activation=c.text("activation_function"),
                transposed=True,
                dropout=drop,
            ),
            names=("ln_1", "ln_2"),
            style="layer",
        )

    m.embed("wte", c.vocab, c.hidden)
    m.single("embedding", lambda t: t.embedding("wpe", c.size("n_positions"), c.hidden, axis=Axis.SEQUENCE))
    m.stack(c.layers, layer, width=c.hidden, name="h.{}")
    m.final_norm("ln_f", c.hidden, style="layer")


@decoder("gpt_neox", prefix="gpt_neox")
def gpt_neox(c: Config, m: ModelBuilder) -> None:
    """GPT-NeoX and Pythia (arXiv 2204.06745): rotation of a quarter of each head, parallel residual."""
    heads, bias = Heads.of(c), c.flag("attention_bias", True)

    def attention(t: Trace, x: Tensor) -> Tensor:
        return fused(t, x, heads, module="attention", names=("query_key_value", "dense"), bias=bias)

    def mlp(t: Trace, x: Tensor) -> Tensor:
        return plain(t, x, c.inner, names=("dense_h_to_4h", "dense_4h_to_h"), activation=c.text("hidden_act"))

    def layer(t: Trace, x: Tensor) -> Tensor:
        wrap = parallel if c.flag("use_parallel_residual") else pre_norm
        return wrap(t, x, attention, mlp, names=("input_layernorm", "post_attention_layernorm"), style="layer")

    m.embed("embed_in", c.vocab, c.hidden)
    m.stack(c.layers, layer, width=c.hidden)
    m.final_norm("final_layer_norm", c.hidden, style="layer")


def falcon_heads(c: Config) -> Heads:
    """One shared key-value head, all of them, or `num_kv_heads` in the newer form."""
    if c.flag("new_decoder_architecture"):
        kv_heads = c.size("num_kv_heads", c.heads)
    else:
        kv_heads = 1 if c.flag("multi_query") else c.heads
    if c.heads % kv_heads:
        raise c.wrong("num_kv_heads", "config_not_divisible", value=kv_heads, of=c.heads)
    alibi = c.flag("alibi")
    return Heads(c.heads, kv_heads, c.hidden // c.heads, rotary_dim=0 if alibi else None, score_bias=alibi)


@decoder("falcon", prefix="transformer")
def falcon(c: Config, m: ModelBuilder) -> None:
    """Falcon (arXiv 2311.16867)."""
    heads, bias = falcon_heads(c), c.flag("bias")
    norms = c.maybe("num_ln_in_parallel_attn", least=0)
    if norms is None and c.flag("new_decoder_architecture"):
        norms = 2

    def attention(t: Trace, x: Tensor) -> Tensor:
        return fused(t, x, heads, module="self_attention", names=("query_key_value", "dense"), bias=bias)

    def mlp(t: Trace, x: Tensor) -> Tensor:
        return plain(
            t,
            x,
            c.maybe("ffn_hidden_size") or 4 * c.hidden,
            names=("dense_h_to_4h", "dense_4h_to_h"),
            activation=c.text("activation"),
            bias=bias,
        )

    def layer(t: Trace, x: Tensor) -> Tensor:
        if not c.flag("parallel_attn"):
            return pre_norm(t, x, attention, mlp, style="layer")
        names = ("ln_attn", "ln_mlp") if norms == 2 else ("input_layernorm",)
        return parallel(t, x, attention, mlp, names=names, style="layer")

    m.embed("word_embeddings", c.vocab, c.hidden)
    m.stack(c.layers, layer, width=c.hidden, name="h.{}")
    m.final_norm("ln_f", c.hidden, style="layer")
