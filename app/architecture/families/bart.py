"""BART and the encoder-decoders of its shape: mBART, Marian, Pegasus, M2M-100, Blenderbot, LED and others."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from ..blocks.attention import Heads, grouped
from ..blocks.cross import cross_attention
from ..blocks.encoder_decoder import halves
from ..blocks.feed_forward import plain
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Role, Tensor
from ..trace import Trace
from .registry import family
from .t5 import expert_modules, own_experts

NAMES = ("q_proj", "k_proj", "v_proj", "out_proj")
Attention = Callable[[Trace, Tensor, Heads], Tensor]
FeedForward = Callable[[Trace, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Line:
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
) -> None:
    """The encoder's layers and final norm; `extra` holds what a layer owns besides."""
    width, shape, drop = c.size("d_model"), stack_heads(c, "encoder", decodes=False), c.number("dropout", 0.0)
    attend, own = attention or plain_attention(line), dense(c, line, "encoder")

    def layer(t: Trace, x: Tensor, is_sparse: bool) -> Tensor:
        if extra:
            extra(t, x)
        fed = feed(is_sparse) if feed else own
        return halves(
            t,
            x,
            (("self_attn_layer_norm", lambda t, x: attend(t, x, shape)), (line.feed_norm, fed)),
            pre=line.pre,
            dropout=drop,
        )

    m.stack(c.count("encoder_layers"), layer, width=width, axis=Axis.SOURCE, kinds=sparse)
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
                            )
                    else:
                        decoder(c, m, own, feed, sparse=sparse)
        close(c, m, own)

    family(*types)(write)


def long_attention(c: Config) -> Attention:
    """Longformer's: a second set of projections for the tokens that see everything (arXiv 2004.05150)."""

    def attend(t: Trace, x: Tensor, shape: Heads) -> Tensor:
        with t.scope("self_attn.longformer_self_attn"):
            for name in ("query_global", "key_global", "value_global"):
                t.linear(name, x, x.width, bias=True)
        names = (
            "longformer_self_attn.query",
            "longformer_self_attn.key",
            "longformer_self_attn.value",
            "output",
        )
        return grouped(t, x, shape, names=names, bias=True)

    return attend


def sparse_attention(c: Config) -> Attention:
    """BigBird's blocks of windows, random and global tokens (arXiv 2007.14062)."""
    names = ("self.query", "self.key", "self.value", "output")
    return lambda t, x, shape: grouped(t, x, shape, names=names, bias=c.flag("use_bias"))


def global_norm(c: Config) -> Callable[[Trace, Tensor], None]:
    """Pegasus-X's norm of its global tokens (arXiv 2208.04347)."""
    return lambda t, x: t.hold(
        *(
            t.parameter(f"global_self_attn_layer_norm.{name}", (x.width,), Role.NORM)
            for name in ("weight", "bias")
        )
    )


def global_tokens(c: Config) -> Callable[[Trace], None]:
    """Their embedding."""
    return lambda t: t.hold(
        t.parameter("embed_global.weight", (c.size("num_global_tokens"), c.size("d_model")))
    )


def nllb_experts(c: Config, part: str) -> tuple[Callable[[bool], FeedForward], Callable[[int], bool]]:
    """NLLB's (arXiv 2207.04672): two of many experts in every so many layers."""
    count, inner = expert_modules(c), c.size(f"{part}_ffn_dim")
    act, step = c.text("activation_function", "relu"), c.size(f"{part}_sparse_step", 4, least=0)

    def experts(t: Trace, x: Tensor) -> Tensor:
        with t.scope("ffn"):
            scores = t.linear("router.classifier", x, count, bias=c.flag("router_bias"), role=Role.ROUTER)
            weights = t.route(scores, count, min(2, count))
            return own_experts(
                t,
                x,
                weights,
                count=count,
                inner=inner,
                names=("fc1", "fc2"),
                bias=True,
                act=act,
                top_k=min(2, count),
            )

    plain_feed = dense(c, Line(), part, "ffn")
    return (lambda sparse: experts if sparse else plain_feed), (lambda i: step > 0 and (i + 1) % step == 0)


PRE = Line(pre=True, final_norm="layer_norm", embed_norm=None)
whole("bart", "plbart", line=Line())
whole("mbart", line=Line(pre=True, final_norm="layer_norm"))
whole("blenderbot-small", line=Line(offset=0))
whole("blenderbot", "pegasus", line=Line(pre=True, final_norm="layer_norm", embed_norm=None, offset=0))
whole(
    "m2m_100", line=Line(pre=True, final_norm="layer_norm", embed_norm=None, offset=None, logits_bias=False)
)
whole(
    "pegasus_x",
    encoder_extra=global_norm,
    embed_extra=global_tokens,
    line=Line(pre=True, final_norm="layer_norm", embed_norm=None, offset=None, logits_bias=False, bias=False),
)
whole(
    "bigbird_pegasus",
    attention=sparse_attention,
    own_bias="use_bias",
    line=Line(pre=True, final_norm="layernorm_embedding", embed_norm=None, offset=0),
)
whole(
    "led",
    attention=long_attention,
    encoder_positions="max_encoder_position_embeddings",
    line=Line(root="led", offset=0, positions="max_decoder_position_embeddings"),
)
whole(
    "nllb-moe",
    experts=nllb_experts,
    line=Line(
        pre=True,
        final_norm="layer_norm",
        embed_norm=None,
        offset=None,
        logits_bias=False,
        cross="cross_attention",
        feed_norm="ff_layer_norm",
    ),
)


@family("marian")
def marian(c: Config, m: ModelBuilder) -> None:
    """Marian: the two languages may have vocabularies of their own; computed positions are saved."""
    line = Line(embed_norm=None, offset=0)
    joint = c.flag("share_encoder_decoder_embeddings", True)
    target = c.vocab if joint else c.size("decoder_vocab_size", c.vocab)
    m.notes["kind"] = "encoder_decoder"
    with m.prefix("model"):
        if joint:
            shared(c, m)
        m.hidden_size, m.vocab_size = c.size("d_model"), target
        with m.prefix("encoder"):
            embed(c, m, line, "encoder", rows=c.vocab, tied=joint and c.tied)
            with m.component("encoder"):
                encoder(c, m, line)
        with m.prefix("decoder"):
            embed(c, m, line, "decoder", rows=target, tied=joint and c.tied)
            decoder(c, m, line)
    close(c, m, line, rows=target)


@family("fsmt")
def fsmt(c: Config, m: ModelBuilder) -> None:
    """FAIR's translators (arXiv 1907.06616): two vocabularies, the head inside the decoder."""
    line = Line(embed_norm=None, logits_bias=False, offset=1 + c.size("pad_token_id", 1, least=0))
    target = c.size("tgt_vocab_size")
    m.notes["kind"] = "encoder_decoder"
    m.hidden_size, m.vocab_size = c.size("d_model"), target
    with m.prefix("model"):
        with m.prefix("encoder"):
            rows = target if c.tied else c.size("src_vocab_size")
            embed(c, m, line, "encoder", rows=rows, tied=False)
            with m.component("encoder"):
                encoder(c, m, line)
        with m.prefix("decoder"):
            embed(c, m, line, "decoder", rows=target, tied=c.tied)
            decoder(c, m, line)
            m.head("output_projection", c.size("d_model"), target, tied=c.tied)
