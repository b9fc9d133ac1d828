"""The lineages in BART's shape: mBART, Pegasus, BigBird, LED, Blenderbot, M2M-100, NLLB, Marian, FSMT."""

from collections.abc import Callable

from ..blocks.attention import Heads, grouped
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Role, Tensor
from ..spans import BlocksAndGlobals
from ..trace import Trace
from .bart import NAMES, Attention, FeedForward, Line, close, decoder, dense, embed, encoder, shared, whole
from .long_inputs import sliding, staggered
from .registry import family
from .t5 import expert_modules, own_experts


def long_attention(c: Config) -> Attention:
    """Longformer's: a second set of projections for tokens that see everything (arXiv 2004.05150), of which a
    text alone has none."""

    def attend(t: Trace, x: Tensor, shape: Heads) -> Tensor:
        with t.scope("self_attn.longformer_self_attn"):
            for name in ("query_global", "key_global", "value_global"):
                t.unused_linear(name, x.width, x.width, bias=True)
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


def staggered_attention(c: Config) -> Attention:
    """Pegasus-X's: blocks that begin half a block earlier are padded at both ends."""

    def attend(t: Trace, x: Tensor, shape: Heads) -> Tensor:
        with t.spanned(shape.pattern.span if isinstance(shape.pattern, BlocksAndGlobals) else None):
            return grouped(t, x, shape, names=NAMES)

    return attend


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
    attention=staggered_attention,
    long=staggered,
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
    long=lambda c: sliding(c, c.count("encoder_layers")),
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
            m.head("output_projection", c.size("d_model"), target, tied=c.tied, adapted=True)
