"""BART and the encoder-decoders of its shape: mBART, Marian, Pegasus, M2M-100, Blenderbot, LED and others."""

from collections.abc import Callable
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from ..blocks.attention import Heads, grouped
from ..blocks.cross import cross_attention
from ..blocks.encoder_decoder import halves
from ..blocks.feed_forward import plain
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Role, Tensor
from ..spans import Pattern, Span
from ..trace import Trace
from .registry import family

NAMES = ("q_proj", "k_proj", "v_proj", "out_proj")
Attention = Callable[[Trace, Tensor, Heads], Tensor]
FeedForward = Callable[[Trace, Tensor], Tensor]
Long = tuple[Span, Callable[[int], Pattern]]  # rows of a layer, and pairs that each multiplies


class Line(Struct, frozen=True):
    """What tells one lineage from another.

    `pre`: norms before each half; `embed_norm`, `final_norm`: names of those behind the embedding and
    the last layer; `offset`: rows of the position table before the first position, None where positions
    are computed; `key_bias`: None as the others.
    """

    root: str = "model"
    pre: bool = False
    embed_norm: str | None = "layernorm_embedding"
    final_norm: str | None = None
    offset: int | None = 2
    logits_bias: bool = True
    bias: bool = True
    key_bias: bool | None = None
    positions: str = "max_position_embeddings"
    cross: str = "encoder_attn"
    feed_norm: str = "final_layer_norm"
    activation: str = "activation_function"


def stack_heads(c: Config, part: str, *, decodes: bool) -> Heads:
    """Heads of the encoder or the decoder; they must divide the width."""
    width, field = c.size("d_model"), f"{part}_attention_heads"
    count = c.size(field)
    if width % count:
        raise c.wrong(field, "config_not_divisible", value=count, of=width)
    return Heads(
        count,
        count,
        width // count,
        rotary_dim=0,
        causal=decodes,
        cached=decodes,
        dropout=c.number("attention_dropout", 0.0),
    )


def dense(c: Config, line: Line, part: str, module: str = "") -> FeedForward:
    """Two linear layers with biases."""
    return partial(
        plain,
        inner=c.size(f"{part}_ffn_dim"),
        module=module,
        names=("fc1", "fc2"),
        activation=c.text(line.activation, "gelu"),
        inner_dropout=c.number("activation_dropout", 0.0),
    )


def plain_attention(line: Line) -> Attention:
    """Separate projections."""
    return lambda t, x, shape: grouped(t, x, shape, names=NAMES, bias=line.bias, key_bias=line.key_bias)


def embed(
    c: Config,
    m: ModelBuilder,
    line: Line,
    part: str,
    *,
    rows: int,
    tied: bool,
    table: bool = True,
    positions: int | None = None,
    extra: Callable[[Trace], None] | None = None,
) -> None:
    """Words (tied to the shared table) and positions of one stack, and their norm."""
    width, axis = c.size("d_model"), Axis.TOKENS if part == "decoder" else Axis.SOURCE

    def write(t: Trace) -> Tensor:
        x = t.embedding("embed_tokens", rows, width, axis=axis, tied=tied) if table else t.input(width, axis)
        if c.flag("scale_embedding"):
            x = t.elementwise("scale", x)
        if line.offset is not None:
            count = (positions or c.size(line.positions)) + line.offset
            x = t.add(x, t.embedding("embed_positions", count, width, axis=Axis.SEQUENCE))
        if extra:
            extra(t)
        if line.embed_norm:
            x = t.norm(line.embed_norm, x, style="layer")
        return t.elementwise("dropout", x, dropout=c.number("dropout", 0.0))

    m.single("embedding", write)


def encoder(
    c: Config,
    m: ModelBuilder,
    line: Line,
    attention: Attention | None = None,
    feed: Callable[[bool], FeedForward] | None = None,
    *,
    sparse: Callable[[int], bool] = lambda i: False,
    extra: Callable[[Trace, Tensor], None] | None = None,
    long: Long | None = None,
) -> None:
    """The encoder's layers and final norm; `extra` holds what a layer owns besides."""
    width, shape, drop = c.size("d_model"), stack_heads(c, "encoder", decodes=False), c.number("dropout", 0.0)
    attend, own = attention or plain_attention(line), dense(c, line, "encoder")
    span, pattern = long or (None, None)

    def layer(t: Trace, x: Tensor, is_sparse: bool, pairs: Pattern | None = None) -> Tensor:
        if extra:
            extra(t, x)
        fed = feed(is_sparse) if feed else own
        heads = replace(shape, pattern=pairs, einsum=pairs is not None)
        with t.spanned(span):
            return halves(
                t,
                x,
                (("self_attn_layer_norm", lambda t, x: attend(t, x, heads)), (line.feed_norm, fed)),
                pre=line.pre,
                dropout=drop,
            )

    kinds = (lambda i: (sparse(i), pattern(i))) if pattern else sparse
    m.stack(c.count("encoder_layers"), layer, width=width, axis=Axis.SOURCE, kinds=kinds)
    if line.final_norm:
        m.single("norm", lambda t: t.norm(line.final_norm or "", t.input(width, Axis.SOURCE), style="layer"))


def decoder(
    c: Config,
    m: ModelBuilder,
    line: Line,
    feed: Callable[[bool], FeedForward] | None = None,
    *,
    sparse: Callable[[int], bool] = lambda i: False,
    source: int | None = None,
    extra: Callable[[Trace, Tensor], None] | None = None,
) -> None:
    """The decoder's layers, each attending to the encoder too, and the final norm."""
    width, shape, drop = c.size("d_model"), stack_heads(c, "decoder", decodes=True), c.number("dropout", 0.0)
    own = dense(c, line, "decoder")

    def layer(t: Trace, x: Tensor, is_sparse: bool) -> Tensor:
        if extra:
            extra(t, x)
        crossed = partial(
            cross_attention,
            shape=shape,
            module=line.cross,
            names=NAMES,
            bias=line.bias,
            key_bias=line.key_bias,
            source=source,
        )
        parts = (
            ("self_attn_layer_norm", lambda t, x: plain_attention(line)(t, x, shape)),
            (f"{line.cross}_layer_norm", crossed),
            (line.feed_norm, feed(is_sparse) if feed else own),
        )
        return halves(t, x, parts, pre=line.pre, dropout=drop)

    m.stack(c.count("decoder_layers"), layer, width=width, kinds=sparse)
    if line.final_norm:
        m.single("norm", lambda t: t.norm(line.final_norm or "", t.input(width), style="layer"))


def shared(c: Config, m: ModelBuilder, name: str = "shared", rows: int | None = None) -> None:
    """The table that both stacks and the head read."""
    m.hidden_size, m.vocab_size = c.size("d_model"), rows or c.vocab
    m.single("embedding", lambda t: t.embedding(name, m.vocab_size, m.hidden_size))


def close(c: Config, m: ModelBuilder, line: Line, name: str = "lm_head", rows: int | None = None) -> None:
    """The head, and the bias of logits that the older models keep as a buffer."""
    if line.logits_bias:
        m.single(
            "head",
            lambda t: t.hold(t.parameter("final_logits_bias", (1, rows or c.vocab), Role.BIAS, buffer=True)),
        )
    m.head(name, c.size("d_model"), rows or c.vocab, tied=c.tied)


def whole(
    *types: str,
    line: Line,
    attention: Callable[[Config], Attention] | None = None,
    encoder_extra: Callable[[Config], Callable[[Trace, Tensor], None]] | None = None,
    embed_extra: Callable[[Config], Callable[[Trace], None]] | None = None,
    experts: Callable[[Config, str], tuple[Callable[[bool], FeedForward], Callable[[int], bool]]]
    | None = None,
    encoder_positions: str | None = None,
    own_bias: str | None = None,
    long: Callable[[Config], Long] | None = None,
) -> None:
    """Sign up a lineage: shared table, encoder, decoder, head."""

    def write(c: Config, m: ModelBuilder) -> None:
        own = replace(line, bias=c.flag(own_bias)) if own_bias else line
        m.notes["kind"] = "encoder_decoder"
        with m.prefix(own.root):
            shared(c, m)
            for part in ("encoder", "decoder"):
                feed, sparse = experts(c, part) if experts else (None, lambda i: False)
                is_encoder = part == "encoder"
                positions = c.size(encoder_positions) if encoder_positions and is_encoder else None
                with m.prefix(part):
                    embed(
                        c,
                        m,
                        own,
                        part,
                        rows=c.vocab,
                        tied=c.tied,
                        positions=positions,
                        extra=embed_extra(c) if embed_extra and is_encoder else None,
                    )
                    if is_encoder:
                        with m.component("encoder"):
                            encoder(
                                c,
                                m,
                                own,
                                attention(c) if attention else None,
                                feed,
                                sparse=sparse,
                                extra=encoder_extra(c) if encoder_extra else None,
                                long=long(c) if long else None,
                            )
                    else:
                        decoder(c, m, own, feed, sparse=sparse)
        close(c, m, own)

    family(*types)(write)
