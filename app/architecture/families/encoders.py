"""Encoders in BERT's shape with an attention of their own: MPNet, Longformer, ALBERT, DistilBERT, others."""

from collections.abc import Callable
from functools import partial

from msgspec.structs import replace

from ..blocks.attention import Heads, grouped
from ..blocks.feed_forward import plain
from ..blocks.residual import branch, outer_norm
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Role, Tensor
from ..spans import Sliding
from ..trace import Trace
from .bert import BEHIND, bert_head, pool, write_head
from .long_inputs import sliding
from .registry import Writer, body, family

MOST_GROUPS = 2**8  # of layers that ALBERT may be asked for
Attention = Callable[[Trace, Tensor, Heads], Tensor]


def encoder_heads(c: Config) -> Heads:
    """Heads without a mask or a cache; they must divide the width."""
    if c.hidden % c.heads:
        raise c.wrong("num_attention_heads", "config_not_divisible", value=c.heads, of=c.hidden)
    return Heads(
        c.heads,
        c.heads,
        c.hidden // c.heads,
        rotary_dim=0,
        causal=False,
        cached=False,
        dropout=c.number("attention_probs_dropout_prob", 0.0),
        float32_softmax=False,
    )


def named(
    *names: str, extra: Callable[[Config, Trace, Tensor], None] | None = None
) -> Callable[[Config], Attention]:
    """Separate projections under their names below `attention`; `extra` holds what else stands there."""
    query, key, value, output = names

    def of(c: Config) -> Attention:
        def write(t: Trace, x: Tensor, shape: Heads) -> Tensor:
            if extra:
                with t.scope("attention.self"):
                    extra(c, t, x)
            return grouped(t, x, shape, module="attention", names=(query, key, value, output), bias=True)

        return write

    return of


USUAL = ("self.query", "self.key", "self.value", "output.dense")


def embeddings(
    c: Config,
    t: Trace,
    *,
    width: int | None = None,
    rows: int | None = None,
    types: bool = True,
    extra: tuple[tuple[str, int], ...] = (),
    normed: bool = True,
) -> Tensor:
    """Words, positions (`rows` of them, none for 0) and token types."""
    wide = width or c.hidden
    with t.scope("embeddings"):
        x = t.embedding("word_embeddings", c.vocab, wide)
        count = c.size("max_position_embeddings") if rows is None else rows
        if count:
            x = t.add(x, t.embedding("position_embeddings", count, wide, axis=Axis.SEQUENCE))
        for name, extent in extra:
            x = t.add(x, t.embedding(name, extent, wide))
        kinds = c.size("type_vocab_size", 0, least=0) if types else 0
        if kinds:
            x = t.add(x, t.embedding("token_type_embeddings", kinds, wide))
        if normed:
            x = t.norm("LayerNorm", x, style="layer")
        return branch(t, x, c.number("hidden_dropout_prob", 0.0))


def write_layers(
    c: Config,
    m: ModelBuilder,
    attention: Attention,
    attention_norm: str = BEHIND[0],
    *,
    windowed: bool = False,
) -> None:
    """BERT's layers: both norms behind the residual. `windowed`: tokens in Longformer's windows."""
    shape, drop = encoder_heads(c), c.number("hidden_dropout_prob", 0.0)
    mlp = partial(
        plain,
        inner=c.inner,
        module="",
        names=("intermediate.dense", "output.dense"),
        activation=c.text("hidden_act", "gelu"),
    )

    span, pattern = sliding(c, c.layers) if windowed else (None, lambda i: ())

    def layer(t: Trace, x: Tensor, *pairs: Sliding) -> Tensor:
        own = replace(shape, pattern=pairs[0], einsum=True) if pairs else shape
        with t.spanned(span):
            return outer_norm(
                t, x, lambda t, x: attention(t, x, own), mlp, names=(attention_norm, BEHIND[1]), dropout=drop
            )

    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    m.stack(c.layers, layer, width=c.hidden, name="encoder.layer.{}", kinds=pattern)


def lm_head(c: Config, m: ModelBuilder) -> None:
    """A dense layer, its norm, the tied matrix and a bias."""
    write_head(c, m, name="lm_head", dense="dense", norm="layer_norm", width=c.hidden, act="gelu")


def predictions(c: Config, m: ModelBuilder) -> None:
    """BERT's head."""
    bert_head(c, m, c.hidden)


def sign_up(kind: str, prefix: str, write: Writer, head: Writer) -> None:
    """The body, and the masked language model under its prefix."""

    def whole(c: Config, m: ModelBuilder) -> None:
        m.notes["kind"] = "encoder"
        with m.prefix(prefix):
            write(c, m)
        head(c, m)

    body(kind)(write)
    family(kind)(whole)


def bert_like(
    attention: Callable[[Config], Attention],
    *,
    offset: int = 0,
    types: bool = True,
    pooled: bool = False,
    extra: Callable[[Config], tuple[tuple[str, int], ...]] | None = None,
    after: Callable[[Config, ModelBuilder], None] | None = None,
    buffer: bool = False,
    norm: str = BEHIND[0],
    windowed: bool = False,
) -> Writer:
    """A body in BERT's shape; `offset` rows beside the positions, `after` writes what else it owns."""

    def write(c: Config, m: ModelBuilder) -> None:
        rows = c.size("max_position_embeddings") + offset
        m.single(
            "embedding", lambda t: embeddings(c, t, rows=rows, types=types, extra=extra(c) if extra else ())
        )
        if buffer:
            ids = ("embeddings.position_ids", (1, c.size("max_position_embeddings")))
            m.single("embedding", lambda t: t.hold(t.parameter(*ids, buffer=True, dtype="int64")))
        write_layers(c, m, attention(c), norm, windowed=windowed)
        if after:
            after(c, m)
        if pooled:
            m.single("pooler", lambda t: pool(t, "pooler.dense", c.hidden))

    return write


def buckets(c: Config, m: ModelBuilder) -> None:
    """MPNet's relative positions, one table for all layers."""
    shape = (c.size("relative_attention_num_buckets"), c.heads)
    m.single("encoder", lambda t: t.hold(t.parameter("encoder.relative_attention_bias.weight", shape)))


def landmarks(c: Config, t: Trace, x: Tensor) -> None:
    """Nyströmformer's depthwise convolution of values (arXiv 2102.03902), one kernel a head."""
    if c.get("conv_kernel_size") is not None:
        kernel, heads = (c.size("conv_kernel_size"), 1), c.heads
        width = c.hidden // heads
        t.convolution(
            "conv", x, heads, kernel=kernel, groups=heads, channels_in=heads, bias=False, per_row=width
        )


def second_projections(c: Config, t: Trace, x: Tensor) -> None:
    """Longformer's projections for global tokens (arXiv 2004.05150), of which a text alone has none."""
    for name in ("query_global", "key_global", "value_global"):
        t.unused_linear(name, x.width, x.width, bias=True)


def boxes(c: Config) -> tuple[tuple[str, int], ...]:
    """LayoutLM's positions on the page (arXiv 1912.13318)."""
    return tuple((f"{side}_position_embeddings", c.size("max_2d_position_embeddings")) for side in "xyhw")


sign_up(
    "mpnet",
    "mpnet",
    bert_like(
        named("attn.q", "attn.k", "attn.v", "attn.o"), types=False, after=buckets, norm="attention.LayerNorm"
    ),
    lm_head,
)
sign_up(
    "longformer", "longformer", bert_like(named(*USUAL, extra=second_projections), windowed=True), lm_head
)
sign_up("nystromformer", "nystromformer", bert_like(named(*USUAL, extra=landmarks), offset=2), predictions)
sign_up("yoso", "yoso", bert_like(named(*USUAL), offset=2), predictions)
sign_up("mra", "mra", bert_like(named(*USUAL), offset=2, buffer=True), predictions)
sign_up("layoutlm", "layoutlm", bert_like(named(*USUAL), extra=boxes, pooled=True), predictions)


def albert_body(c: Config, m: ModelBuilder) -> None:
    """ALBERT (arXiv 1909.11942): narrow embeddings, one group of layers passed again and again."""
    width, drop = c.size("embedding_size"), c.number("hidden_dropout_prob", 0.0)
    if (groups := c.count("num_hidden_groups", 1)) > MOST_GROUPS:
        raise c.wrong("num_hidden_groups", "config_out_of_range", value=groups, least=1, most=MOST_GROUPS)
    inner_count = c.count("inner_group_num", 1)
    shape = encoder_heads(c)

    def layer(t: Trace, x: Tensor) -> Tensor:
        mixed = grouped(t, x, shape, module="attention", names=("query", "key", "value", "dense"), bias=True)
        x = t.norm("attention.LayerNorm", t.add(x, branch(t, mixed, drop)), style="layer")
        fed = plain(
            t, x, c.inner, module="", names=("ffn", "ffn_output"), activation=c.text("hidden_act", "gelu")
        )
        return t.norm("full_layer_layer_norm", t.add(x, branch(t, fed, drop)), style="layer")

    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    m.single("embedding", lambda t: embeddings(c, t, width=width))
    m.single(
        "embedding",
        lambda t: t.linear("encoder.embedding_hidden_mapping_in", t.input(width), c.hidden, bias=True),
    )
    passes = max(1, c.layers // groups)
    for group in range(groups):
        m.stack(
            inner_count,
            layer,
            width=c.hidden,
            runs=passes,
            name=f"encoder.albert_layer_groups.{group}.albert_layers.{{}}",
        )


def albert_head(c: Config, m: ModelBuilder) -> None:
    """Back to the narrow embedding."""
    write_head(c, m, name="predictions", dense="dense", norm="LayerNorm", width=c.size("embedding_size"))


sign_up("albert", "albert", albert_body, albert_head)


def distilbert_body(c: Config, m: ModelBuilder) -> None:
    """DistilBERT (arXiv 1910.01108)."""
    width, drop = c.size("dim"), c.number("dropout", 0.0)
    if width % c.size("n_heads"):
        raise c.wrong("n_heads", "config_not_divisible", value=c.size("n_heads"), of=width)
    shape = Heads(
        c.size("n_heads"),
        c.size("n_heads"),
        width // c.size("n_heads"),
        rotary_dim=0,
        causal=False,
        cached=False,
        dropout=c.number("attention_dropout", 0.0),
        float32_softmax=False,
    )
    attention = partial(
        grouped, shape=shape, module="attention", names=("q_lin", "k_lin", "v_lin", "out_lin"), bias=True
    )
    mlp = partial(
        plain,
        inner=c.size("hidden_dim"),
        module="ffn",
        names=("lin1", "lin2"),
        activation=c.text("activation", "gelu"),
        dropout=drop,
    )

    def embed(t: Trace) -> Tensor:
        x = t.embedding("word_embeddings", c.vocab, width)
        x = t.add(
            x,
            t.embedding("position_embeddings", c.size("max_position_embeddings"), width, axis=Axis.SEQUENCE),
        )
        return branch(t, t.norm("LayerNorm", x, style="layer"), drop)

    m.hidden_size, m.vocab_size = width, c.vocab
    m.single("embedding", embed, name="embeddings")
    m.stack(
        c.count("n_layers"),
        lambda t, x: outer_norm(t, x, attention, mlp, names=("sa_layer_norm", "output_layer_norm")),
        width=width,
        name="transformer.layer.{}",
    )


def distilbert_head(c: Config, m: ModelBuilder) -> None:
    """A dense layer, its norm, the tied matrix with a bias of its own."""
    width = c.size("dim")

    def transform(t: Trace) -> Tensor:
        x = t.linear("vocab_transform", t.input(width), width, bias=True, role=Role.OTHER)
        return t.norm("vocab_layer_norm", t.elementwise(c.text("activation", "gelu"), x), style="layer")

    m.single("head", transform)
    m.head("vocab_projector", width, c.vocab, tied=c.tied, bias=True)


sign_up("distilbert", "distilbert", distilbert_body, distilbert_head)
