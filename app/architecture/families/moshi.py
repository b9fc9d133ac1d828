"""Text decoders of speech and reasoning models in Llama's shape: Moshi, HRM-Text, ModernBERT's decoder."""

from functools import partial

from ..blocks.attention import Heads, grouped
from ..blocks.feed_forward import fused_gated
from ..blocks.residual import branch, pre_norm
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Role, Tensor
from ..trace import Trace
from .gpt import all_heads
from .llama import activation, swiglu
from .registry import body, decoder, family


@decoder("moshi", ties=False)
def moshi(c: Config, m: ModelBuilder) -> None:
    """Moshi's main decoder (arXiv 2410.00037); one row more than the vocabulary in the embedding."""
    heads = Heads.of(c, window=c.maybe("sliding_window"))
    names = ("q_proj.linear", "k_proj.linear", "v_proj.linear", "o_proj.linear")
    attention = partial(grouped, shape=heads, names=names)
    mlp = partial(fused_gated, inner=c.size("ffn_dim") // 2, names=("fc1", "fc2"), activation=activation(c))
    m.embed("embed_tokens", c.vocab + 1, c.hidden)
    m.stack(c.layers, lambda t, x: pre_norm(t, x, attention, mlp, style="rms_wide"), width=c.hidden)
    m.final_norm("norm", c.hidden, style="rms_wide")


@decoder("hrm_text")
def hrm_text(c: Config, m: ModelBuilder) -> None:
    """HRM-Text: two stacks passed again and again (arXiv 2506.21734), every pass with a cache of its own."""
    high, low = c.count("H_cycles"), c.count("L_cycles")
    count = c.count("num_layers_per_stack", c.layers) if c.given("num_layers_per_stack") else c.layers
    heads, bias = Heads.of(c, kv_heads=c.heads), c.flag("attention_bias")
    attention = partial(grouped, shape=heads, bias=bias, gate="gate_proj", gate_bias=bias)
    mlp = swiglu(c, bias=c.flag("mlp_bias"))

    def layer(t: Trace, x: Tensor) -> Tensor:
        return pre_norm(t, x, attention, mlp, style="rms_plain")

    m.embed("embed_tokens", c.vocab, c.hidden, scale=True)
    m.single("embedding", lambda t: t.hold(t.parameter("z_L_init", (c.hidden,))))
    for name, runs in (("L_module", high * low), ("H_module", high)):
        m.stack(count, layer, width=c.hidden, name=f"{name}.layers.{{}}", runs=runs)
        m.final_norm(f"{name}.final_norm", c.hidden, style="rms_plain")


@body("modernbert-decoder")
def modernbert_decoder_body(c: Config, m: ModelBuilder) -> None:
    """The decoder below the head: no norm before the first attention, windows of half `local_attention`."""
    bias, norm_bias = c.flag("attention_bias"), c.flag("norm_bias")
    every = c.size("global_attn_every_n_layers", 3)
    types = c.layer_types(["sliding_attention" if i % every else "full_attention" for i in range(c.layers)])
    reach = c.size("local_attention", 128) // 2
    mlp = partial(
        fused_gated,
        inner=c.inner,
        names=("Wi", "Wo"),
        activation=c.text("hidden_activation"),
        bias=c.flag("mlp_bias"),
        dropout=c.number("mlp_dropout", 0.0),
    )
    drop = c.number("attention_dropout", 0.0)

    def layer(t: Trace, x: Tensor, kind: str, is_first: bool) -> Tensor:
        window = reach if kind == "sliding_attention" else None
        heads = all_heads(c, rotary_dim=None, window=window, dropout=drop)
        normed = x if is_first else t.norm("attn_norm", x, style="layer", bias=norm_bias)
        names = ("q_proj", "k_proj", "v_proj", "Wo")
        mixed = grouped(t, normed, heads, module="attn", names=names, bias=bias)
        x = t.add(x, branch(t, mixed, drop))
        return t.add(x, mlp(t, t.norm("mlp_norm", x, style="layer", bias=norm_bias)))

    def embed(t: Trace) -> Tensor:
        x = t.norm("norm", t.embedding("tok_embeddings", c.vocab, c.hidden), style="layer", bias=norm_bias)
        return branch(t, x, c.number("embedding_dropout", 0.0))

    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    m.single("embedding", embed, name="embeddings")
    m.stack(c.layers, layer, width=c.hidden, kinds=lambda i: (types[i], i == 0))
    m.final_norm("final_norm", c.hidden, style="layer", bias=norm_bias)


@family("modernbert-decoder")
def modernbert_decoder(c: Config, m: ModelBuilder) -> None:
    """Ettin's decoders (arXiv 2507.11412): a small head before the tied matrix."""
    with m.prefix("model"):
        modernbert_decoder_body(c, m)

    def dense(t: Trace) -> Tensor:
        with t.scope("lm_head"):
            x = t.linear(
                "dense", t.input(c.hidden), c.hidden, bias=c.flag("classifier_bias"), role=Role.OTHER
            )
            x = t.elementwise(c.text("classifier_activation", "gelu"), x)
            return t.norm("norm", x, style="layer", bias=c.flag("norm_bias"))

    m.head("decoder", c.hidden, c.vocab, tied=c.tied, bias=c.flag("decoder_bias"), before=dense)
