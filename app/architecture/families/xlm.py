"""XLM, XLNet and X-MOD: attention of 2019, and adapters by language."""

from functools import partial

from ..blocks.attention import grouped
from ..blocks.feed_forward import plain
from ..blocks.residual import branch
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, KeyValueCache, Role, Tensor
from ..trace import Trace, column, row
from .bert import NAMES, Shape, bert_heads, embeddings, roberta_head
from .gpt import all_heads
from .registry import family


@family("xlm")
def xlm(c: Config, m: ModelBuilder) -> None:
    """XLM (arXiv 1901.07291): an encoder whose layers stand in four lists of modules."""
    heads = all_heads(c, causal=c.flag("causal"), cached=False, dropout=c.number("attention_dropout", 0.0))
    drop, act = c.number("dropout", 0.0), "gelu" if c.flag("gelu_activation", True) else "relu"
    names = ("q_lin", "k_lin", "v_lin", "out_lin")
    has_languages = c.size("n_langs", 1) > 1 and c.flag("use_lang_emb", True)

    def embed(t: Trace) -> Tensor:
        places = t.embedding(
            "position_embeddings", c.size("max_position_embeddings"), c.hidden, axis=Axis.SEQUENCE
        )
        x = t.add(t.embedding("embeddings", c.vocab, c.hidden), places)
        if has_languages:
            t.hold(t.parameter("lang_embeddings.weight", (c.size("n_langs"), c.hidden), Role.EMBEDDING))
        return branch(t, t.norm("layer_norm_emb", x, style="layer"), drop)

    def attend(t: Trace, x: Tensor) -> Tensor:
        return t.add(x, branch(t, grouped(t, x, heads, module="", names=names, bias=True), drop))

    def feed(t: Trace, x: Tensor) -> Tensor:
        return t.add(
            x, plain(t, x, 4 * c.hidden, module="", names=("lin1", "lin2"), activation=act, dropout=drop)
        )

    def norm(t: Trace, x: Tensor) -> Tensor:
        return t.norm("", x, style="layer")

    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    m.notes["kind"] = "encoder"
    with m.prefix("transformer"):
        m.single("embedding", embed)
        for name, write in (
            ("attentions", attend),
            ("layer_norm1", norm),
            ("ffns", feed),
            ("layer_norm2", norm),
        ):
            m.stack(c.layers, write, width=c.hidden, name=f"{name}.{{}}")
    m.head("pred_layer.proj", c.hidden, c.vocab, tied=c.tied, bias=True)


def relative_attention(t: Trace, x: Tensor, heads: int, dim: int) -> Tensor:
    """Transformer-XL's attention: content against content and against relative positions (arXiv 1901.02860).

    What is remembered is the layer's input, not its keys and values.
    """
    width = heads * dim
    stored = (x.width, heads, dim)
    with t.scope("rel_attn"):
        q, k, v = (
            t.linear(n, x, width, module=False, stored=stored, split=column(heads, width)) for n in "qkv"
        )
        places = t.input(2 * x.width)
        r = t.linear("r", places, width, module=False, stored=stored, fan_in=x.width, axis=Axis.TOKENS)
        biases = ("r_r_bias", "r_s_bias", "r_w_bias")
        t.hold(
            *(t.parameter(name, (heads, dim)) for name in biases), t.parameter("seg_embed", (2, heads, dim))
        )
        t.product(t.elementwise("scale", q), r, 2 * heads, dim, Axis.PAIRS)
        out = t.attention(
            t.elementwise("scale", q),
            k,
            v,
            heads=heads,
            kv_heads=heads,
            key_dim=dim,
            bias=True,
            float32_softmax=False,
            causal=False,
            kept=KeyValueCache(1, x.width, 0),
        )
        return t.linear("o", out, x.width, module=False, stored=stored, split=row(heads))


@family("xlnet")
def xlnet(c: Config, m: ModelBuilder) -> None:
    """XLNet (arXiv 1906.08237)."""
    drop, act = c.number("dropout", 0.0), c.text("ff_activation", "gelu")
    if c.hidden % c.heads:
        raise c.wrong("n_head", "config_not_divisible", value=c.heads, of=c.hidden)
    heads, dim, inner = c.heads, c.size("d_head", c.hidden // c.heads), c.size("d_inner")
    mlp = partial(
        plain, inner=inner, module="ff", names=("layer_1", "layer_2"), activation=act, inner_dropout=drop
    )

    def layer(t: Trace, x: Tensor) -> Tensor:
        mixed = branch(t, relative_attention(t, x, heads, dim), drop)
        x = t.norm("rel_attn.layer_norm", t.add(x, mixed), style="layer")
        return t.norm("ff.layer_norm", t.add(x, branch(t, mlp(t, x), drop)), style="layer")

    with m.prefix("transformer"):
        m.embed("word_embedding", c.vocab, c.hidden, dropout=drop)
        m.single("embedding", lambda t: t.hold(t.parameter("mask_emb", (1, 1, c.hidden))))
        m.stack(c.layers, layer, width=c.hidden, name="layer.{}")
    m.head("lm_loss", c.hidden, c.vocab, tied=c.tied, bias=True)


def adapters(t: Trace, x: Tensor, c: Config) -> Tensor:
    """The first language's adapter; the others wait for their own languages."""
    languages = c.items("languages") or ["en_XX"]
    if len(languages) > 512 or not all(isinstance(language, str) for language in languages):
        raise c.wrong("languages", "config_not_list", value=len(languages))
    narrow = c.hidden // c.size("adapter_reduction_factor", 2)
    with t.scope("output"):
        if c.flag("adapter_layer_norm"):
            x = t.norm("adapter_layer_norm", x, style="layer")
        elif c.flag("adapter_reuse_layer_norm", True):
            x = t.norm("LayerNorm", x, style="layer")
        with t.scope(f"adapter_modules.{languages[0]}"):
            out = t.elementwise(c.text("hidden_act", "gelu"), t.linear("dense1", x, narrow, bias=True))
            out = t.linear("dense2", out, c.hidden, bias=True)
        for language in languages[1:]:
            with t.scope(f"adapter_modules.{language}"):
                t.unused_linear("dense1", c.hidden, narrow, bias=True)
                t.unused_linear("dense2", narrow, c.hidden, bias=True)
        return out


@family("xmod")
def xmod(c: Config, m: ModelBuilder) -> None:
    """X-MOD (arXiv 2205.06266): RoBERTa with an adapter for every language, norms before or behind."""
    is_pre, drop, heads = c.flag("pre_norm"), c.number("hidden_dropout_prob", 0.0), bert_heads(c)
    attention = partial(grouped, shape=heads, module="attention", names=NAMES, bias=True)
    mlp = partial(
        plain,
        inner=c.inner,
        module="",
        names=("intermediate.dense", "output.dense"),
        activation=c.text("hidden_act", "gelu"),
    )
    norms = ("attention.output.LayerNorm", "output.LayerNorm")

    def half(t: Trace, x: Tensor, write: object, norm: str, adapts: bool) -> Tensor:
        out = write(t, t.norm(norm, x, style="layer") if is_pre else x)  # type: ignore[operator]
        out = branch(t, out, drop)
        if adapts:
            out = t.add(out, x)
            out = branch(t, t.add(out, adapters(t, out, c)), drop)
        else:
            out = t.add(out, x)
        return out if is_pre else t.norm(norm, out, style="layer")

    def layer(t: Trace, x: Tensor) -> Tensor:
        return half(t, half(t, x, attention, norms[0], False), mlp, norms[1], True)

    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    m.notes["kind"] = "decoder" if c.flag("is_decoder") else "encoder"
    with m.prefix("roberta"):
        m.single("embedding", lambda t: embeddings(c, t, Shape("roberta")))
        m.stack(c.layers, layer, width=c.hidden, name="encoder.layer.{}")
        if is_pre:
            m.final_norm("encoder.LayerNorm", c.hidden, style="layer")
    roberta_head(c, m, c.hidden)
