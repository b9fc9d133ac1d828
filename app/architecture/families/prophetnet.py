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
        einsum=True,
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
            einsum=True,
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


def cross(t: Trace, x: Tensor, shape: Heads, width: int) -> Tensor:
    """Every stream attends to the encoder."""
    source, split, streams = t.input(width, Axis.SOURCE), column(shape.heads), x.width // width
    with t.scope("cross_attn"):
        q = t.linear("query_proj", x, width, bias=True, fan_in=width, split=split)
        k = t.linear("key_proj", source, width, bias=True, split=split)
        v = t.linear("value_proj", source, width, bias=True, split=split)
        out = t.attention(
            q,
            k,
            v,
            heads=streams * shape.heads,
            kv_heads=shape.heads,
            key_dim=shape.head_dim,
            causal=False,
            cross=True,
            float32_softmax=False,
            dropout=shape.dropout,
            einsum=True,
        )
        return t.linear("out_proj", out, width, bias=True, fan_in=width, split=row(shape.heads))


def write_decoder(c: Config, m: ModelBuilder, *, crossed: bool) -> None:
    """The decoder below the head; its embedding is tied to one that stands beside it."""
    width, drop, shape = c.hidden, c.number("dropout", 0.0), decoder_heads(c)
    ngram, inner, act = c.count("ngram", least=0), c.size("decoder_ffn_dim"), c.text("activation_function")

    def embed(t: Trace) -> Tensor:
        words = t.embedding("word_embeddings", c.vocab, width, tied=c.tied)
        rows = c.size("max_position_embeddings")
        places = t.embedding("position_embeddings", rows, width, axis=Axis.SEQUENCE)
        ahead = t.embedding("ngram_embeddings", ngram, width)
        x = t.concat(t.add(words, places), *(t.add(ahead, places) for _ in range(ngram)))
        return branch(t, t.norm("embeddings_layer_norm", x, style="layer", width=width), drop)

    def feed_forward(t: Trace, x: Tensor) -> Tensor:
        with t.scope("feed_forward"):
            up = t.linear("intermediate", x, inner, bias=True, fan_in=width, split=column(inner))
            down = t.elementwise(act, up)
            return t.linear("output", down, width, bias=True, fan_in=inner, split=row(inner))

    def layer(t: Trace, x: Tensor) -> Tensor:
        mixed = branch(t, ngram_attention(t, x, shape, c), drop)
        x = t.norm("self_attn_layer_norm", t.add(x, mixed), style="layer", width=width)
        if crossed:
            x = t.add(x, branch(t, cross(t, x, shape, width), drop))
            x = t.norm("cross_attn_layer_norm", x, style="layer", width=width)
        else:
            unused_cross(t, width)
        fed = branch(t, feed_forward(t, x), drop)
        return t.norm("feed_forward_layer_norm", t.add(x, fed), style="layer", width=width)

    with m.prefix("decoder"):
        m.single("embedding", embed)
        m.stack(c.count("num_decoder_layers"), layer, width=(1 + ngram) * width)


def write_head(c: Config, m: ModelBuilder) -> None:
    """Logits of every stream ahead."""
    width = c.hidden

    def logits(t: Trace) -> Tensor:
        x = t.input(c.count("ngram", least=0) * width)
        return t.linear("lm_head", x, c.vocab, fan_in=width, tied=c.tied, role=Role.HEAD)

    m.single("head", logits)


@of_class("ProphetNetForCausalLM")
def prophetnet(c: Config, m: ModelBuilder) -> None:
    """The decoder alone; the wrapper's embedding owns the matrix that its and the head's are tied to."""
    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    table = (c.vocab, c.hidden)
    with m.prefix("prophetnet"):
        name = "word_embeddings.weight"
        m.single("embedding", lambda t: t.hold(t.parameter(name, table, Role.EMBEDDING)))
        write_decoder(c, m, crossed=False)
    write_head(c, m)
