"""Encoders with rotary positions: ModernBERT, Nomic, GTE, Jina, EuroBERT, UltraBERT."""

from functools import partial

from ..blocks.attention import Heads, fused, grouped
from ..blocks.feed_forward import fused_gated, gated, plain
from ..blocks.residual import branch, outer_norm, pre_norm
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Role, Tensor
from ..trace import Trace
from .bert import write_head
from .encoders import sign_up
from .llama import activation


def both(c: Config, **changes: object) -> Heads:
    """Heads without a mask or a cache."""
    return Heads.of(c, **{"causal": False, "cached": False, **changes})


def modernbert_body(c: Config, m: ModelBuilder) -> None:
    """ModernBERT (arXiv 2412.13663): no norm before the first attention, windows but in every third layer."""
    if c.hidden % c.heads:
        raise c.wrong("num_attention_heads", "config_not_divisible", value=c.heads, of=c.hidden)
    norm_bias, bias = c.flag("norm_bias"), c.flag("attention_bias")
    every = c.size("global_attn_every_n_layers", 3)
    types = c.layer_types(["sliding_attention" if i % every else "full_attention" for i in range(c.layers)])
    mlp = partial(
        fused_gated,
        inner=c.inner,
        names=("Wi", "Wo"),
        activation=c.text("hidden_activation", "gelu"),
        bias=c.flag("mlp_bias"),
        dropout=c.number("mlp_dropout", 0.0),
    )

    def layer(t: Trace, x: Tensor, kind: str, is_first: bool) -> Tensor:
        window = c.size("local_attention") // 2 if kind == "sliding_attention" else None
        shape = both(c, kv_heads=c.heads, window=window)
        normed = x if is_first else t.norm("attn_norm", x, style="layer", bias=norm_bias)
        x = t.add(x, fused(t, normed, shape, module="attn", names=("Wqkv", "Wo"), bias=bias))
        return t.add(x, mlp(t, t.norm("mlp_norm", x, style="layer", bias=norm_bias)))

    def embed(t: Trace) -> Tensor:
        x = t.norm("norm", t.embedding("tok_embeddings", c.vocab, c.hidden), style="layer", bias=norm_bias)
        return branch(t, x, c.number("embedding_dropout", 0.0))

    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    m.single("embedding", embed, name="embeddings")
    m.stack(c.layers, layer, width=c.hidden, kinds=lambda i: (types[i], i == 0))
    m.final_norm("final_norm", c.hidden, style="layer", bias=norm_bias)


def modernbert_dense(c: Config, m: ModelBuilder) -> None:
    """The dense layer before a head."""

    def dense(t: Trace) -> Tensor:
        x = t.linear("dense", t.input(c.hidden), c.hidden, bias=c.flag("classifier_bias"), role=Role.OTHER)
        x = t.elementwise(c.text("classifier_activation", "gelu"), x)
        return t.norm("norm", x, style="layer", bias=c.flag("norm_bias"))

    m.single("head", dense, name="head")


def modernbert_head(c: Config, m: ModelBuilder) -> None:
    """A small head, then the tied matrix."""
    modernbert_dense(c, m)
    m.head("decoder", c.hidden, c.vocab, tied=c.tied, bias=c.flag("decoder_bias", True))


sign_up("modernbert", "model", modernbert_body, modernbert_head)


def rotary_bert(c: Config, m: ModelBuilder) -> None:
    """Nomic, GTE, Jina 3 (arXiv 2402.01613, 2407.19669, 2409.10173): BERT with rotary positions."""
    kind, drop = c.model_type, c.number("hidden_dropout_prob", 0.0)
    biased = kind != "nomic_bert"
    attention = partial(grouped, shape=both(c, kv_heads=c.heads), bias=biased)
    names = ("gate_proj", "up_proj", "down_proj")

    def mlp(t: Trace, x: Tensor) -> Tensor:
        if kind == "jina_embeddings_v3":
            return plain(t, x, c.inner, names=("fc1", "fc2"), activation=activation(c))
        if kind == "nomic_bert":
            return gated(t, x, c.inner, names=names, activation=activation(c))
        with t.scope("mlp"):
            gate = t.elementwise(activation(c), t.linear("gate_proj", x, c.inner))
            return t.linear(
                "down_proj", t.multiply(gate, t.linear("up_proj", x, c.inner)), c.hidden, bias=True
            )

    def embed(t: Trace) -> Tensor:
        x = t.embedding("word_embeddings", c.vocab, c.hidden)
        if kinds := c.size("type_vocab_size", 0, least=0):
            x = t.add(x, t.embedding("token_type_embeddings", kinds, c.hidden))
        return branch(t, t.norm("LayerNorm", x, style="layer"), drop)

    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    m.single("embedding", embed, name="embeddings")
    m.stack(
        c.layers,
        lambda t, x: outer_norm(
            t, x, attention, mlp, dropout=drop, names=("post_attention_layernorm", "post_mlp_layernorm")
        ),
        width=c.hidden,
    )


def nomic_head(c: Config, m: ModelBuilder) -> None:
    """BERT's head, always tied."""
    write_head(
        c,
        m,
        name="cls.predictions",
        dense="transform.dense",
        norm="transform.layer_norm",
        width=c.hidden,
        tied=c.flag("tie_word_embeddings", True),
    )


def gte_head(c: Config, m: ModelBuilder) -> None:
    """RoBERTa's head with the bias inside the matrix's module."""
    write_head(
        c, m, name="lm_head", dense="dense", norm="layer_norm", width=c.hidden, own_bias=False, act="gelu"
    )


def jina_head(c: Config, m: ModelBuilder) -> None:
    """RoBERTa's head."""
    write_head(c, m, name="lm_head", dense="dense", norm="layer_norm", width=c.hidden, act="gelu")


sign_up("nomic_bert", "nomic_bert", rotary_bert, nomic_head)
sign_up("gte", "gte", rotary_bert, gte_head)
sign_up("jina_embeddings_v3", "roberta", rotary_bert, jina_head)


def llama_body(c: Config, m: ModelBuilder) -> None:
    """EuroBERT (arXiv 2503.05500), UltraBERT: Llama's layers without a mask."""
    windows = [None] * c.layers
    if c.model_type == "ultrabert":
        types = c.layer_types(["full_attention"] * c.layers)
        windows = [c.maybe("sliding_window") if kind == "sliding_attention" else None for kind in types]  # type: ignore[misc]

    def layer(t: Trace, x: Tensor, window: int | None) -> Tensor:
        attention = partial(grouped, shape=both(c, window=window), bias=c.flag("attention_bias"))
        return pre_norm(
            t, x, attention, partial(gated, inner=c.inner, activation=activation(c), bias=c.flag("mlp_bias"))
        )

    m.embed("embed_tokens", c.vocab, c.hidden)
    m.stack(c.layers, layer, width=c.hidden, kinds=lambda i: windows[i])
    m.final_norm("norm", c.hidden)


def plain_head(c: Config, m: ModelBuilder) -> None:
    """The vocabulary's matrix; its bias goes with the feed-forward blocks'."""
    m.head("lm_head", c.hidden, c.vocab, tied=c.tied, bias=c.flag("mlp_bias"))


sign_up("eurobert", "model", llama_body, plain_head)
