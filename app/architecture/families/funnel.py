"""Funnel Transformer (arXiv 2006.03236): each block has half as many tokens as the one before."""

from msgspec import Struct

from ..blocks.attention import Heads, attend
from ..blocks.feed_forward import plain
from ..blocks.residual import branch
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..spans import Between, Halved, Pairs, Span
from ..trace import Trace, column, row
from .encoders import sign_up
from .florence import stages

MOST_REPEATS = 2**6  # of a block's layers; published models pass each once


class Pooled(Struct, frozen=True):
    """Rows of a layer's queries and of its keys, which are as many as before the pooling in its first one."""

    queries: Span
    keys: Span

    def __str__(self) -> str:
        return f"{self.queries}{', pooled here' * self.narrows}"

    @property
    def narrows(self) -> bool:
        """Whether there are fewer queries than keys."""
        return self.queries != self.keys


def placed(t: Trace, q: Tensor, width: int, heads: int, dim: int, rows: Pooled, *, factorized: bool) -> None:
    """Scores by relative position: against every distance, or as sums of products of sines."""
    stored = (width, heads, dim)
    if factorized:
        wide = t.linear(
            "r_kernel", q, heads * width, module=False, stored=stored, fan_in=heads * dim, groups=heads
        )
        with t.spanned(Pairs(rows.queries, rows.keys)):
            t.product(wide, wide, 2 * heads, width, Axis.PAIRS)
        return
    places = t.input(2 * width, Axis.SEQUENCE)
    r = t.linear("r_kernel", places, heads * dim, module=False, stored=stored, fan_in=width)
    with t.spanned(Pairs(rows.queries, rows.queries)):
        t.product(t.elementwise("scale", q), r, 2 * heads, dim, Axis.PAIRS)
    if rows.narrows:  # as many distances more as there are keys
        with t.spanned(rows.keys):
            t.product(places, places, heads * dim, width, Axis.ONE)
        with t.spanned(Pairs(rows.queries, rows.keys)):
            t.product(q, r, heads, dim, Axis.BATCH)


def relative_attention(t: Trace, x: Tensor, c: Config, heads: int, dim: int, rows: Pooled) -> Tensor:
    """Content against content, against relative positions and against token types."""
    width, split = heads * dim, column(heads)
    with t.scope("attention"), t.spanned(rows.queries):
        q = t.linear("q_head", x, width, split=split)
        with t.spanned(rows.keys):
            k, v = (t.linear(f"{name}_head", x, width, bias=True, split=split) for name in "kv")
        biases = ("r_w_bias", "r_r_bias", "r_s_bias")
        t.hold(
            *(t.parameter(name, (heads, dim)) for name in biases), t.parameter("seg_embed", (2, heads, dim))
        )
        is_factorized = c.text("attention_type", "relative_shift") == "factorized"
        placed(t, q, x.width, heads, dim, rows, factorized=is_factorized)
        t.product(t.elementwise("scale", q), x, 2 * heads, dim)
        shape = Heads(heads, heads, dim, rotary_dim=0, causal=False, cached=False, score_bias=True,
                      dropout=c.number("attention_dropout", 0.0),
                      pattern=Between(rows.queries, rows.keys))  # fmt: skip
        out = t.linear("post_proj", attend(t, q, k, v, shape), x.width, bias=True, split=row(heads))
        return t.norm("layer_norm", t.add(x, branch(t, out, c.number("hidden_dropout", 0.0))), style="layer")


def repeats(c: Config, blocks: int) -> list[int]:
    """How often the layers of each block are passed."""
    found = stages(c, "block_repeats") if c.get("block_repeats") is not None else [1] * blocks
    if len(found) < blocks:
        raise c.wrong("block_repeats", "config_layer_types", value=len(found), layers=blocks)
    if (largest := max(found)) > MOST_REPEATS:
        raise c.wrong("block_repeats", "config_out_of_range", value=largest, least=1, most=MOST_REPEATS)
    return found


def funnel_body(c: Config, m: ModelBuilder) -> None:
    """Blocks of fewer and fewer tokens, and a decoder at full length.

    The halving is in what plain PyTorch multiplies; a layer's tokens are otherwise those of the input.
    """
    heads, dim, act = c.heads, c.size("d_head"), c.text("hidden_act", "gelu_new")
    drop, blocks = c.number("hidden_dropout", 0.0), stages(c, "block_sizes")
    times, apart = repeats(c, len(blocks)), c.flag("separate_cls", True)
    spare = apart and not c.flag("truncate_seq", True)

    def halved(block: int) -> Span:
        return Halved(block, 2 if apart else 1, spare) if block > 0 else Span()

    def layer(t: Trace, x: Tensor, *runs: Pooled) -> Tensor:
        for rows in runs:
            x = relative_attention(t, x, c, heads, dim, rows)
            with t.scope("ffn"), t.spanned(rows.queries):
                names = ("linear_1", "linear_2")
                fed = plain(t, x, c.size("d_inner"), module="", names=names, activation=act)
                x = t.norm("layer_norm", t.add(x, branch(t, fed, drop)), style="layer")
        return x

    def embed(t: Trace) -> Tensor:
        return t.norm("layer_norm", t.embedding("word_embeddings", c.vocab, c.hidden), style="layer")

    def runs_of(block: int, index: int) -> tuple[Pooled, ...]:
        rows = halved(block)
        first = Pooled(rows, halved(block - 1) if index == 0 and c.flag("pool_q_only", True) else rows)
        return (first,) + (Pooled(rows, rows),) * (times[block] - 1)

    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    m.single("embedding", embed, name="embeddings")
    for i, size in enumerate(blocks):
        name = f"encoder.blocks.{i}.{{}}"
        m.stack(size, layer, width=c.hidden, name=name, kinds=lambda j, i=i: runs_of(i, j))  # type: ignore[misc]
    whole = Pooled(Span(), Span())
    layers = c.count("num_decoder_layers")
    m.stack(layers, layer, width=c.hidden, name="decoder.layers.{}", kinds=lambda j: (whole,))


sign_up(
    "funnel", "funnel", funnel_body,
    lambda c, m: m.head("lm_head", c.hidden, c.vocab, tied=c.tied, bias=True),
)  # fmt: skip
