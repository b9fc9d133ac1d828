"""CPM-Ant: learned prompt tokens in front of every sequence, scores with bucketed relative positions.

The prompt is a stream of its own, `count` rows side by side in one row per sequence: it passes every
layer, and the head leaves it out.
"""

from msgspec import Struct

from ..blocks.residual import branch
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, KeyValueCache, Tensor
from ..trace import Trace, column, row
from .registry import family

Streams = tuple[Tensor, Tensor]  # the tokens', the prompt's


class Shape(Struct, frozen=True):
    """Widths of a layer and the prompt's length."""

    hidden: int
    heads: int
    dim: int
    inner: int
    count: int
    dropout: float


def project(t: Trace, name: str, x: Tensor, shape: Shape) -> Tensor:
    """One projection of all rows of a stream."""
    return t.linear(name, x, shape.heads * shape.dim, fan_in=shape.hidden, split=column(shape.heads))


def attend(t: Trace, tokens: Streams, shape: Shape) -> Streams:
    """Both streams see each other: tokens the tokens before and the prompt, the prompt all that came in."""
    heads, dim, count = shape.heads, shape.dim, shape.count
    (q, q_p), (k, k_p), (v, v_p) = (
        (project(t, f"project_{name}", tokens[0], shape), project(t, f"project_{name}", tokens[1], shape))
        for name in "qkv"
    )
    out = t.attention(
        q,
        k,
        v,
        heads=heads,
        kv_heads=heads,
        key_dim=dim,
        bias=True,
        float32_softmax=False,
        dropout=shape.dropout,
        kept=KeyValueCache(heads, dim, dim, prompt=count),
    )
    seen = t.product(q, k_p, heads * count, dim)
    out = t.add(out, t.product(seen, v_p, heads * dim, count))
    t.product(q_p, k, heads * count, dim, Axis.TOKENS)
    t.product(seen, v, heads * count, dim, Axis.TOKENS)  # summed over tokens: as many products as the scores
    own = t.product(q_p, k_p, heads * count * count, dim)
    return out, t.product(own, v_p, count * heads * dim, count)


def layer(t: Trace, x: Tensor, shape: Shape) -> Tensor:
    """Both halves on both streams, norms before."""
    p = t.input(shape.count * shape.hidden, Axis.BATCH)
    with t.scope("self_att"):
        normed = tuple(t.norm("layernorm_before_attention", s, width=shape.hidden) for s in (x, p))
        with t.scope("self_attention"):
            mixed = attend(t, normed, shape)  # type: ignore[arg-type]
            mixed = tuple(  # type: ignore[assignment]
                t.linear(
                    "attention_out", s, shape.hidden, fan_in=shape.heads * shape.dim, split=row(shape.heads)
                )
                for s in mixed
            )
        x, p = (t.add(s, branch(t, m, shape.dropout)) for s, m in zip((x, p), mixed, strict=True))
    with t.scope("ffn"):
        fed = [feed(t, t.norm("layernorm_before_ffn", s, width=shape.hidden), shape) for s in (x, p)]
        t.add(p, fed[1])
        return t.add(x, branch(t, fed[0], shape.dropout))


def feed(t: Trace, x: Tensor, shape: Shape) -> Tensor:
    """The gated block."""
    inner, split = shape.inner, column(shape.inner)
    with t.scope("ffn"):
        gate = t.elementwise("gelu", t.linear("w_in.w_0", x, inner, fan_in=shape.hidden, split=split))
        product = t.multiply(gate, t.linear("w_in.w_1", x, inner, fan_in=shape.hidden, split=split))
        return t.linear(
            "w_out", branch(t, product, shape.dropout), shape.hidden, fan_in=inner, split=row(inner)
        )


@family("cpmant")
def cpmant(c: Config, m: ModelBuilder) -> None:
    """CPM-Ant 10B."""
    segments, count = c.size("segment_types"), c.size("prompt_length", least=0)
    rows = c.vocab + c.size("prompt_types", least=0) * count
    shape = Shape(c.hidden, c.heads, c.size("dim_head"), c.size("dim_ff"), count, c.number("dropout_p", 0.0))

    def embed(t: Trace) -> Tensor:
        x = t.embedding("input_embedding", rows, c.hidden)
        table = (segments * segments + c.size("position_bias_num_buckets"), c.heads)
        t.hold(t.parameter("position_bias.relative_attention_bias", table))
        return t.add(x, t.embedding("segment_embedding", segments, c.hidden))

    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    with m.prefix("cpmant"):
        m.single("embedding", embed)
        m.stack(c.layers, lambda t, x: layer(t, x, shape), width=c.hidden, name="encoder.layers.{}")
        m.final_norm("encoder.output_layernorm", c.hidden)
    m.head("lm_head", c.hidden, c.vocab, tied=False)
