"""ProphetNet's decoder (arXiv 2001.04063) as a causal model: a main stream and one for each token ahead."""

from ..blocks.attention import Heads
from ..blocks.residual import branch
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Role, Tensor
from ..trace import Trace, column, row
from .registry import of_class


def decoder_heads(c: Config) -> Heads:
    """The decoder's heads, which divide the width."""
    heads = c.size("num_decoder_attention_heads")
    if c.hidden % heads:
        raise c.wrong("num_decoder_attention_heads", "config_not_divisible", value=heads, of=c.hidden)
    return Heads(
        heads,
        heads,
        c.hidden // heads,
        rotary_dim=0,
        float32_softmax=False,
        dropout=c.number("attention_dropout", 0.0),
    )


def predicted(t: Trace, q: Tensor, keys: Tensor, values: Tensor, shape: Heads, ngram: int) -> Tensor:
    """The streams ahead attend to a stream's keys; every one to the main stream's and to its own."""
    return t.attention(
        q,
        keys,
        values,
        heads=ngram * shape.heads,
        kv_heads=ngram * shape.heads,
        key_dim=shape.head_dim,
        float32_softmax=False,
        dropout=shape.dropout,
        cached=False,
    )


def ngram_attention(t: Trace, x: Tensor, shape: Heads, c: Config) -> Tensor:
    """All streams through the same projections, with a learned bias for relative positions."""
    width, ngram = c.hidden, c.count("ngram", least=0)
    streams = (width, ngram * width)
    split = column(shape.heads)
    with t.scope("self_attn"):
        q, k, v = (
            t.linear(f"{name}_proj", x, width, bias=True, fan_in=width, split=split)
            for name in ("query", "key", "value")
        )
        buckets = c.size("num_buckets") * shape.heads
        t.linear("relative_pos_embeddings", x, buckets, bias=True, fan_in=width, role=Role.OTHER)
        (q, q_ahead), (k, k_ahead), (v, v_ahead) = (
            t.split(part, *streams, kind="chunk") for part in (q, k, v)
        )
        out = t.attention(
            q,
            k,
            v,
            heads=shape.heads,
            kv_heads=shape.heads,
            key_dim=shape.head_dim,
            bias=True,
            float32_softmax=False,
            dropout=shape.dropout,
        )
        if ngram:
            own = predicted(t, q_ahead, k_ahead, v_ahead, shape, ngram)
            main = predicted(t, q_ahead, k, v, shape, ngram)
            out = t.concat(out, t.add(own, main))
        return t.linear("out_proj", out, width, bias=True, fan_in=width, split=row(shape.heads))


def unused_cross(t: Trace, width: int) -> None:
    """The attention to an encoder."""
    with t.scope("cross_attn"):
        for name in ("key_proj", "value_proj", "query_proj", "out_proj"):
            t.unused_linear(name, width, width, bias=True)
    with t.scope("cross_attn_layer_norm"):
        t.hold(*(t.parameter(part, (width,), Role.NORM) for part in ("weight", "bias")))


@of_class("ProphetNetForCausalLM")
def prophetnet(c: Config, m: ModelBuilder) -> None:
    """The wrapper's embedding owns the matrix that the decoder's and the head's are tied to."""
    width, drop, shape = c.hidden, c.number("dropout", 0.0), decoder_heads(c)
    ngram, inner, act = c.count("ngram", least=0), c.size("decoder_ffn_dim"), c.text("activation_function")
    streams = 1 + ngram

    def embed(t: Trace) -> Tensor:
        words = t.embedding("decoder.word_embeddings", c.vocab, width, tied=c.tied)
        with t.scope("decoder"):
            places = t.embedding(
                "position_embeddings", c.size("max_position_embeddings"), width, axis=Axis.SEQUENCE
            )
            ahead = t.embedding("ngram_embeddings", ngram, width)
            x = t.concat(t.add(words, places), *(t.add(ahead, places) for _ in range(ngram)))
            x = t.norm("embeddings_layer_norm", x, style="layer", width=width)
        return branch(t, x, drop)

    def layer(t: Trace, x: Tensor) -> Tensor:
        unused_cross(t, width)
        mixed = branch(t, ngram_attention(t, x, shape, c), drop)
        x = t.norm("self_attn_layer_norm", t.add(x, mixed), style="layer", width=width)
        fed = feed_forward(t, x)
        return t.norm("feed_forward_layer_norm", t.add(x, branch(t, fed, drop)), style="layer", width=width)

    def feed_forward(t: Trace, x: Tensor) -> Tensor:
        with t.scope("feed_forward"):
            up = t.linear("intermediate", x, inner, bias=True, fan_in=width, split=column(inner))
            return t.linear(
                "output", t.elementwise(act, up), width, bias=True, fan_in=inner, split=row(inner)
            )

    m.hidden_size, m.vocab_size = width, c.vocab
    with m.prefix("prophetnet"):
        m.single(
            "embedding",
            lambda t: t.hold(t.parameter("word_embeddings.weight", (c.vocab, width), Role.EMBEDDING)),
        )
        m.single("embedding", embed)
        m.stack(c.count("num_decoder_layers"), layer, width=streams * width, name="decoder.layers.{}")
    m.single(
        "head",
        lambda t: t.linear(
            "lm_head", t.input(ngram * width), c.vocab, fan_in=width, tied=c.tied, role=Role.HEAD
        ),
    )
