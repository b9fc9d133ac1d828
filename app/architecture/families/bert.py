"""BERT and its relatives, as masked language models and as decoders (`is_decoder`): the same tensors.

A `Shape` tells where a lineage puts its norms and how its embedding and head are laid out.
"""

from collections.abc import Callable
from functools import partial

from msgspec import Struct

from ..blocks.attention import Heads, grouped
from ..blocks.feed_forward import plain
from ..blocks.residual import branch, outer_norm, pre_norm
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Role, Tensor
from ..trace import Trace, column, row
from .registry import Writer, body, family

NAMES = ("self.query", "self.key", "self.value", "output.dense")
BEHIND = ("attention.output.LayerNorm", "output.LayerNorm")


class Shape(Struct, frozen=True):
    """Where the parts of a lineage stand. `final`: the norm behind the last layer of those that
    normalise before each half; `width`: the field of an embedding narrower than the layers; `words`: what
    is done to the words before types and positions; `pooler`: a linear module on the first token, where the
    language model has one too."""

    prefix: str
    norms: tuple[str, str] = BEHIND
    is_pre: bool = False
    final: str | None = None
    embedding_norm: bool = True
    width: str | None = None
    project: str = "embeddings_project"
    types: bool = True
    learned_positions: bool = True
    words: Callable[[Config, Trace, Tensor], Tensor] | None = None
    pooler: str | None = None


def embedding_width(c: Config, shape: Shape) -> int:
    """Width of the embedding's rows."""
    return c.size(shape.width, c.hidden) if shape.width else c.hidden


def embeddings(c: Config, t: Trace, shape: Shape) -> Tensor:
    """Words, token types and positions added, normalised, dropped out, widened."""
    width = embedding_width(c, shape)
    with t.scope("embeddings"):
        x = t.embedding("word_embeddings", c.vocab, width)
        if shape.words:
            x = shape.words(c, t, x)
        if shape.types:
            x = t.add(x, t.embedding("token_type_embeddings", c.size("type_vocab_size", 2), width))
        if shape.learned_positions:
            rows = c.size("max_position_embeddings")
            x = t.add(x, t.embedding("position_embeddings", rows, width, axis=Axis.SEQUENCE))
        if shape.embedding_norm:
            x = t.norm("LayerNorm", x, style="layer")
    x = branch(t, x, c.number("hidden_dropout_prob", 0.0))
    return x if width == c.hidden else t.linear(shape.project, x, c.hidden, bias=True)


def bert_heads(c: Config, *, turned: bool = False) -> Heads:
    """All heads with keys of their own; causal and cached in a decoder alone."""
    if c.hidden % c.heads:
        raise c.wrong("num_attention_heads", "config_not_divisible", value=c.heads, of=c.hidden)
    decodes = c.flag("is_decoder")
    return Heads(
        c.heads,
        c.heads,
        c.hidden // c.heads,
        rotary_dim=None if turned else 0,
        causal=decodes,
        cached=decodes,
        dropout=c.number("attention_probs_dropout_prob", 0.0),
        float32_softmax=False,
    )


def crossed(t: Trace, x: Tensor, heads: Heads, *, module: str = "crossattention") -> Tensor:
    """Attention to an encoder's tokens."""
    source = t.input(x.width, Axis.SOURCE)
    with t.scope(module):
        q = t.linear("self.query", x, heads.query_width, bias=True, split=column(heads.heads))
        k = t.linear("self.key", source, heads.key_width, bias=True, split=column(heads.heads))
        v = t.linear("self.value", source, heads.value_width, bias=True, split=column(heads.heads))
        out = t.attention(
            q,
            k,
            v,
            heads=heads.heads,
            kv_heads=heads.heads,
            key_dim=heads.head_dim,
            causal=False,
            cross=True,
            float32_softmax=False,
            dropout=heads.dropout,
        )
        return t.linear("output.dense", out, x.width, bias=True, split=row(heads.heads))


def layer_of(c: Config, shape: Shape, heads: Heads, bias: bool = True) -> Callable[[Trace, Tensor], Tensor]:
    """One layer: attention, attention to an encoder where `add_cross_attention`, feed-forward."""
    drop = c.number("hidden_dropout_prob", 0.0)
    attention = partial(grouped, shape=heads, module="attention", names=NAMES, bias=bias, out_bias=True)
    mlp = partial(
        plain,
        inner=c.inner,
        module="",
        names=("intermediate.dense", "output.dense"),
        activation=c.text("hidden_act", "gelu"),
    )
    wrap = pre_norm if shape.is_pre else outer_norm

    def with_source(t: Trace, x: Tensor) -> Tensor:
        x = t.norm(BEHIND[0], t.add(x, branch(t, attention(t, x), drop)), style="layer")
        x = t.norm(
            "crossattention.output.LayerNorm", t.add(x, branch(t, crossed(t, x, heads), drop)), style="layer"
        )
        return t.norm(BEHIND[1], t.add(x, branch(t, mlp(t, x), drop)), style="layer")

    if c.flag("add_cross_attention") and not shape.is_pre:
        return with_source
    return lambda t, x: wrap(t, x, attention, mlp, names=shape.norms, style="layer", dropout=drop)


def write_body(c: Config, m: ModelBuilder, *, shape: Shape, bias: bool = True, turned: bool = False) -> None:
    """Everything below the head, without a pooler."""
    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    m.single("embedding", lambda t: embeddings(c, t, shape))
    if turned:
        table = (c.size("max_position_embeddings"), c.hidden // c.heads)
        m.single("embedding", lambda t: t.hold(t.parameter("encoder.embed_positions.weight", table)))
    layer = layer_of(c, shape, bert_heads(c, turned=turned), bias)
    m.stack(c.layers, layer, width=c.hidden, name="encoder.layer.{}")
    if shape.final:
        m.final_norm(shape.final, c.hidden, style="layer")
    if shape.pooler:
        first = partial(pool, name=shape.pooler, width=c.hidden)
        m.single("pooler", first)


def pool(t: Trace, name: str, width: int) -> Tensor:
    """tanh of a linear map of the first token."""
    return t.elementwise("tanh", t.linear(name, t.input(width, Axis.BATCH), width, bias=True))


def write_head(
    c: Config,
    m: ModelBuilder,
    *,
    name: str,
    dense: str,
    norm: str,
    width: int,
    own_bias: bool = True,
    tied: bool | None = None,
    act: str | None = None,
    adapted: bool = False,
) -> None:
    """A dense layer, its norm and the vocabulary's matrix; the bias stands beside the matrix and, where
    the matrix is tied, is the matrix's too (`own_bias`)."""
    tied = c.tied if tied is None else tied

    def transform(t: Trace) -> Tensor:
        x = t.linear(dense, t.input(c.hidden), width, bias=True, role=Role.OTHER)
        return t.norm(norm, t.elementwise(act or c.text("hidden_act", "gelu"), x), style="layer")

    beside = "bias" if own_bias else None
    with m.prefix(name):
        m.head(
            "decoder",
            width,
            c.vocab,
            tied=tied,
            bias=not (tied and own_bias),
            before=transform,
            beside=beside,
            adapted=adapted,
        )


def bert_head(c: Config, m: ModelBuilder, width: int, adapted: bool = False) -> None:
    """`cls.predictions`."""
    write_head(
        c,
        m,
        name="cls.predictions",
        dense="transform.dense",
        norm="transform.LayerNorm",
        width=width,
        adapted=adapted,
    )


def roberta_head(c: Config, m: ModelBuilder, width: int) -> None:
    """`lm_head`."""
    write_head(c, m, name="lm_head", dense="dense", norm="layer_norm", width=width, act="gelu")


def sign_up(
    *types: str,
    shape: Shape,
    head: Callable[[Config, ModelBuilder, int], None],
    turned: bool = False,
    bias: str | None = None,
) -> None:
    """A body and the model with its head, for types of one shape; `bias` is the field of the projections'."""

    def write(c: Config, m: ModelBuilder) -> None:
        write_body(c, m, shape=shape, turned=turned, bias=c.flag(bias, True) if bias else True)

    def whole(c: Config, m: ModelBuilder) -> None:
        m.notes["kind"] = "decoder" if c.flag("is_decoder") else "encoder"
        with m.prefix(shape.prefix):
            write(c, m)
        head(c, m, embedding_width(c, shape))

    body(*types)(write)
    family(*types)(whole)


def task_types(c: Config, t: Trace, x: Tensor) -> Tensor:
    """ERNIE 2's task embedding, where `use_task_id`."""
    if not c.flag("use_task_id"):
        return x
    return t.add(x, t.embedding("task_type_embeddings", c.size("task_type_vocab_size"), x.width))


def rescaled(c: Config, t: Trace, x: Tensor) -> Tensor:
    """BigBird's constant factor."""
    return t.elementwise("scale", x) if c.flag("rescale_embeddings") else x


def shapes_and_sounds(c: Config, t: Trace, x: Tensor) -> Tensor:
    """RoCBERT: a character's looks and its sound beside it, mapped back to the width."""
    sounds, looks = (
        t.embedding(f"{name}_embed", c.size(f"{name}_vocab_size"), c.size(f"{name}_embed_dim"))
        for name in ("pronunciation", "shape")
    )
    if not c.flag("concat_input", True):
        return x
    parts = [x]
    parts += [looks] if c.flag("enable_shape", True) else []
    parts += [sounds] if c.flag("enable_pronunciation", True) else []
    return t.linear("map_inputs_layer", t.concat(*parts), c.hidden, bias=True)


sign_up("bert", shape=Shape("bert"), head=bert_head)
sign_up("ernie", shape=Shape("ernie", words=task_types), head=bert_head)
sign_up("roc_bert", shape=Shape("roc_bert", words=shapes_and_sounds), head=bert_head)
sign_up("big_bird", shape=Shape("bert", words=rescaled, pooler="pooler"), head=bert_head, bias="use_bias")
sign_up(
    "megatron-bert", shape=Shape("bert", ("attention.ln", "ln"), True, "encoder.ln", False), head=bert_head
)
sign_up(
    "roformer",
    shape=Shape("roformer", width="embedding_size", learned_positions=False),
    head=bert_head,
    turned=True,
)
sign_up("roberta", "camembert", "xlm-roberta", shape=Shape("roberta"), head=roberta_head)
sign_up("data2vec-text", shape=Shape("data2vec_text"), head=roberta_head)
sign_up(
    "roberta-prelayernorm",
    head=roberta_head,
    shape=Shape("roberta_prelayernorm", ("attention.LayerNorm", "intermediate.LayerNorm"), True, "LayerNorm"),
)
sign_up(
    "xlm-roberta-xl",
    head=roberta_head,
    shape=Shape("roberta", ("attention.self_attn_layer_norm", "LayerNorm"), True, "encoder.LayerNorm", False),
)


def electra_head(c: Config, m: ModelBuilder, width: int) -> None:
    """The generator's: a dense layer and its norm, then the vocabulary with a bias of its own."""

    def transform(t: Trace) -> Tensor:
        with t.scope("generator_predictions"):
            x = t.linear("dense", t.input(c.hidden), width, bias=True, role=Role.OTHER)
            return t.norm("LayerNorm", t.elementwise("gelu", x), style="layer")

    m.head("generator_lm_head", width, c.vocab, tied=c.tied, bias=True, before=transform)


def rembert_head(c: Config, m: ModelBuilder, width: int) -> None:
    """An output embedding wider than the input's, never tied."""
    wide = c.size("output_embedding_size")
    write_head(
        c, m, name="cls.predictions", dense="dense", norm="LayerNorm", width=wide, own_bias=False, tied=False
    )


def generation_head(c: Config, m: ModelBuilder, width: int) -> None:
    """The vocabulary's matrix alone, its bias beside it."""
    with m.prefix("lm_head"):
        m.head("decoder", c.hidden, c.vocab, tied=c.tied, bias=not c.tied, beside="bias")


sign_up("electra", shape=Shape("electra", width="embedding_size"), head=electra_head)
sign_up(
    "rembert",
    head=rembert_head,
    shape=Shape("rembert", width="input_embedding_size", project="encoder.embedding_hidden_mapping_in"),
)
sign_up("bert-generation", shape=Shape("bert", types=False), head=generation_head)


__all__ = ["Shape", "Writer", "bert_head", "roberta_head", "sign_up", "write_body"]
