"""Encoders in BERT's shape with an attention of their own: MPNet, Longformer, ALBERT, DistilBERT, others."""

from collections.abc import Callable
from functools import partial

from ..blocks.attention import Heads, attend, grouped
from ..blocks.feed_forward import plain
from ..blocks.residual import branch, outer_norm
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Part, Role, Tensor
from ..trace import Trace, column, columns, row
from .bert import BEHIND, bert_head, pool, write_head
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


def write_layers(c: Config, m: ModelBuilder, attention: Attention, attention_norm: str = BEHIND[0]) -> None:
    """BERT's layers: both norms behind the residual."""
    shape, drop = encoder_heads(c), c.number("hidden_dropout_prob", 0.0)
    mlp = partial(
        plain,
        inner=c.inner,
        module="",
        names=("intermediate.dense", "output.dense"),
        activation=c.text("hidden_act", "gelu"),
    )

    def layer(t: Trace, x: Tensor) -> Tensor:
        return outer_norm(
            t, x, lambda t, x: attention(t, x, shape), mlp, names=(attention_norm, BEHIND[1]), dropout=drop
        )

    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    m.stack(c.layers, layer, width=c.hidden, name="encoder.layer.{}")


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
        write_layers(c, m, attention(c), norm)
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
    """Nyströmformer's depthwise convolution of values (arXiv 2102.03902)."""
    if c.get("conv_kernel_size") is not None:
        t.hold(t.parameter("conv.weight", (c.heads, 1, c.size("conv_kernel_size"), 1), Role.CONVOLUTION))


def second_projections(c: Config, t: Trace, x: Tensor) -> None:
    """Longformer's projections for global tokens (arXiv 2004.05150)."""
    for name in ("query_global", "key_global", "value_global"):
        t.linear(name, x, x.width, bias=True)


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
sign_up("longformer", "longformer", bert_like(named(*USUAL, extra=second_projections)), lm_head)
sign_up("nystromformer", "nystromformer", bert_like(named(*USUAL, extra=landmarks), offset=2), predictions)
sign_up("yoso", "yoso", bert_like(named(*USUAL), offset=2), predictions)
sign_up("mra", "mra", bert_like(named(*USUAL), offset=2, buffer=True), predictions)
sign_up("layoutlm", "layoutlm", bert_like(named(*USUAL), extra=boxes, pooled=True), predictions)


# --- DeBERTa ---------------------------------------------------------------------------------


def relative(c: Config) -> tuple[int, list[str]]:
    """Rows of the table of relative positions (0: none), and which scores use it."""
    if not c.flag("relative_attention"):
        return 0, []
    reach = c.size("max_relative_positions", -1, least=-1)
    reach = reach if reach >= 1 else c.size("max_position_embeddings")
    if c.model_type == "deberta-v2":
        stated = c.size("position_buckets", -1, least=-1)
        reach = stated if stated > 0 else reach
    stated_types = c.get("pos_att_type") or []
    kinds = stated_types.split("|") if isinstance(stated_types, str) else c.items("pos_att_type") or []
    return 2 * reach, [str(kind).strip() for kind in kinds]


def deberta_v2_attention(c: Config) -> Attention:
    """Content attends to positions and back (arXiv 2006.03654), with projections shared or their own."""
    rows, kinds = relative(c)

    def write(t: Trace, x: Tensor, shape: Heads) -> Tensor:
        if rows and not c.flag("share_att_key"):
            table = t.input(x.width, Axis.ONE)
            with t.scope("attention.self"):
                if "c2p" in kinds:
                    t.linear("pos_key_proj", table, x.width, bias=True)
                if "p2c" in kinds:
                    t.linear("pos_query_proj", table, x.width, bias=True)
        names = ("self.query_proj", "self.key_proj", "self.value_proj", "output.dense")
        return grouped(t, x, shape, module="attention", names=names, bias=True)

    return write


def deberta_attention(c: Config) -> Attention:
    """One matrix for all three, biases of queries and values beside it."""
    rows, kinds = relative(c)

    def write(t: Trace, x: Tensor, shape: Heads) -> Tensor:
        part = Part(x.width, shape.heads)
        with t.scope("attention"):
            with t.scope("self"):
                qkv = t.linear("in_proj", x, 3 * x.width, split=columns(part, part, part))
                t.hold(
                    *(
                        t.parameter(name, (x.width,), Role.BIAS, split=column(shape.heads))
                        for name in ("q_bias", "v_bias")
                    )
                )
                if c.flag("talking_head"):
                    for name in ("head_logits_proj", "head_weights_proj"):
                        t.hold(t.parameter(f"{name}.weight", (shape.heads, shape.heads)))
                table = t.input(x.width, Axis.ONE)
                if rows and "c2p" in kinds:
                    t.linear("pos_proj", table, x.width)
                if rows and "p2c" in kinds:
                    t.linear("pos_q_proj", table, x.width, bias=True)
                q, k, v = t.split(qkv, x.width, x.width, x.width)
                out = attend(t, q, k, v, shape)
            return t.linear("output.dense", out, x.width, bias=True, split=row(shape.heads))

    return write


def deberta_body(attention: Callable[[Config], Attention]) -> Writer:
    """Positions added only where `position_biased_input`; a table of relative ones in the encoder."""

    def write(c: Config, m: ModelBuilder) -> None:
        width = c.size("embedding_size", c.hidden)
        table = c.size("max_position_embeddings") if c.flag("position_biased_input", True) else 0

        def embed(t: Trace) -> Tensor:
            x = embeddings(c, t, width=width, rows=table, normed=False)
            with t.scope("embeddings"):
                if width != c.hidden:
                    x = t.linear("embed_proj", x, c.hidden)
                return t.norm("LayerNorm", x, style="layer")

        m.single("embedding", embed)
        write_layers(c, m, attention(c))
        rows, _ = relative(c)
        if rows:
            m.single(
                "encoder", lambda t: t.hold(t.parameter("encoder.rel_embeddings.weight", (rows, c.hidden)))
            )
        if c.model_type == "deberta-v2":
            deberta_extras(c, m)

    return write


def deberta_extras(c: Config, m: ModelBuilder) -> None:
    """The norm of the relative table, and a convolution beside the first layer (version 2, extra large)."""
    if "layer_norm" in c.text("norm_rel_ebd", "none").lower():
        m.single("encoder", lambda t: t.norm("encoder.LayerNorm", t.input(c.hidden, Axis.ONE), style="layer"))
    if kernel := c.size("conv_kernel_size", 0, least=0):

        def convolve(t: Trace) -> Tensor:
            x = t.convolution(
                "conv", t.input(c.hidden), c.hidden, kernel=(kernel,), groups=c.size("conv_groups", 1)
            )
            return t.norm("LayerNorm", x, style="layer")

        m.single("encoder", convolve, name="encoder.conv")


def deberta_head(c: Config, m: ModelBuilder) -> None:
    """BERT's head, or the newer one whose matrix is the embedding itself."""
    if c.flag("legacy", True):
        predictions(c, m)
        return

    def write(t: Trace) -> Tensor:
        x = t.linear("dense", t.input(c.hidden), c.hidden, bias=True)
        t.hold(t.parameter("bias", (c.vocab,), Role.BIAS))
        return t.norm("LayerNorm", x, style="layer", bias=True)

    m.single("head", write, name="lm_predictions.lm_head")


sign_up("deberta", "deberta", deberta_body(deberta_attention), deberta_head)
sign_up("deberta-v2", "deberta", deberta_body(deberta_v2_attention), deberta_head)


# --- ALBERT, DistilBERT ----------------------------------------------------------------------


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
