"""T5Gemma: Gemma's layers as an encoder-decoder (arXiv 2504.06225), the second version with pictures."""

from functools import partial
from typing import Any

from ..blocks.attention import Heads, attend, grouped, turn
from ..blocks.cross import cross_attention
from ..blocks.feed_forward import gated
from ..blocks.vision import held
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace, column, row
from .composite import see
from .gemma_vision import soft_tokens
from .llama import every, windows
from .registry import family

STYLE = "rms_one_plus"
NAMES = ("q_proj", "k_proj", "v_proj", "o_proj")


def inside(t: Trace, x: Tensor, name: str, part: object) -> Tensor:
    """x + norm(part(norm(x)))."""
    mixed = part(t, t.norm(f"pre_{name}_layernorm", x, style=STYLE))  # type: ignore[operator]
    return t.add(x, t.norm(f"post_{name}_layernorm", mixed, style=STYLE))


def feed(c: Config) -> object:
    """The gated block."""
    return partial(gated, inner=c.inner, activation=c.text("hidden_activation", "gelu_pytorch_tanh"))


def merged_attention(t: Trace, x: Tensor, shape: Heads, *, bias: bool) -> Tensor:
    """One set of projections for the decoder's own tokens and the encoder's; each keeps a cache."""
    kv = column(shape.kv_heads, replicate=True)
    seen = t.input(x.width, Axis.SOURCE)
    with t.scope("self_attn"):
        q = t.linear("q_proj", x, shape.query_width, bias=bias, split=column(shape.heads))
        k = t.linear("k_proj", x, shape.key_width, bias=bias, split=kv)
        v = t.linear("v_proj", x, shape.key_width, bias=bias, split=kv)
        keys = t.linear("k_proj.weight", seen, shape.key_width, module=False, split=kv)
        values = t.linear("v_proj.weight", seen, shape.key_width, module=False, split=kv)
        q = t.norm("q_norm", q, style=STYLE, width=shape.head_dim)
        k = t.norm("k_norm", k, style=STYLE, width=shape.head_dim)
        q, k = turn(t, q, k, shape)
        own = attend(t, q, k, v, shape)
        crossed = t.attention(
            q,
            keys,
            values,
            heads=shape.heads,
            kv_heads=shape.kv_heads,
            key_dim=shape.head_dim,
            causal=False,
            cross=True,
        )
        return t.linear("o_proj", t.add(own, crossed), x.width, bias=bias, split=row(shape.heads))


def write_stack(c: Config, m: ModelBuilder, *, decodes: bool, qk_norm: bool, source: int = 0) -> None:
    """Layers with norms on both sides of each part; `source`: width of the encoder that a part attends to."""
    types = ["sliding_attention" if (i + 1) % 2 else "full_attention" for i in range(c.layers)]
    window = windows(c, every(c.size("sliding_window_pattern", 6), c.layers) if qk_norm else types)
    bias, axis = c.flag("attention_bias"), (Axis.TOKENS if decodes else Axis.SOURCE)
    options: dict[str, Any] = {"qk_norm": "head", "qk_style": STYLE} if qk_norm else {}

    def layer(t: Trace, x: Tensor, window: int | None) -> Tensor:
        shape = Heads.of(
            c,
            window=window,
            causal=decodes,
            cached=decodes,
            softcap=c.get("attn_logit_softcapping") is not None,
        )
        if decodes and qk_norm:
            x = inside(t, x, "self_attn", partial(merged_attention, shape=shape, bias=bias))
        else:
            x = inside(t, x, "self_attn", partial(grouped, shape=shape, bias=bias, **options))
        if source:
            shape = Heads.of(c, softcap=shape.softcap)
            x = inside(
                t,
                x,
                "cross_attn",
                partial(
                    cross_attention, shape=shape, module="cross_attn", names=NAMES, bias=bias, source=source
                ),
            )
        return inside(t, x, "feedforward", feed(c))

    m.stack(c.layers, layer, width=c.hidden, axis=axis, kinds=lambda i: window[i])
    m.single("norm", lambda t: t.norm("norm", t.input(c.hidden, axis), style=STYLE))


def words(
    c: Config, m: ModelBuilder, axis: Axis, *, rows: int, tied: bool = False, end_of_image: bool = False
) -> None:
    """The scaled embedding, beside it the vector that ends a picture."""

    def write(t: Trace) -> Tensor:
        x = t.elementwise("scale", t.embedding("embed_tokens", rows, c.hidden, axis=axis, tied=tied))
        if end_of_image and not tied:
            held(t, "embed_tokens.eoi_embedding", c.hidden)
        return x

    m.single("embedding", write)


@family("t5gemma")
def t5gemma(c: Config, m: ModelBuilder) -> None:
    """T5Gemma: Gemma 2's layers, two embeddings."""
    first, second = c.sub("encoder"), c.sub("decoder")
    m.notes["kind"] = "encoder_decoder"
    with m.prefix("model.encoder"):
        words(first, m, Axis.SOURCE, rows=first.vocab)
        with m.component("encoder"):
            write_stack(first, m, decodes=False, qk_norm=False)
    with m.prefix("model.decoder"):
        words(second, m, Axis.TOKENS, rows=second.vocab)
        write_stack(second, m, decodes=True, qk_norm=False, source=first.hidden)
    m.hidden_size, m.vocab_size = second.hidden, second.vocab
    m.head("lm_head.out_proj", second.hidden, second.vocab, tied=c.flag("tie_word_embeddings", True))


@family("t5gemma2")
def t5gemma2(c: Config, m: ModelBuilder) -> None:
    """T5Gemma 2 (arXiv 2512.14856): Gemma 3's layers, one embedding, merged attention, pictures."""
    first, second = c.sub("encoder"), c.sub("decoder")
    text, tied = first.sub("text_config"), c.flag("tie_word_embeddings", True)
    m.notes["kind"] = "encoder_decoder"
    with m.prefix("model.encoder.text_model"):
        words(text, m, Axis.SOURCE, rows=text.vocab, end_of_image=True)
        with m.component("encoder"):
            write_stack(text, m, decodes=False, qk_norm=True)
    vision = see(first, m, "model.encoder.vision_tower")
    soft_tokens(m, "model.encoder.multi_modal_projector", vision, text)
    with m.prefix("model.decoder"):
        words(second, m, Axis.TOKENS, rows=second.vocab, tied=tied, end_of_image=True)
        write_stack(second, m, decodes=True, qk_norm=True)
    m.hidden_size, m.vocab_size = second.hidden, second.vocab
    m.head("lm_head.out_proj", second.hidden, second.vocab, tied=tied)
