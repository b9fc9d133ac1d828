"""Transcribers over a conformer of NVIDIA's (FastConformer): Canary and Cohere's."""

from functools import partial
from math import log2

from ..blocks.attention import Heads, attend, grouped
from ..blocks.cross import cross_attention
from ..blocks.encoder_decoder import halves
from ..blocks.feed_forward import plain
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Role, Tensor
from ..trace import Trace, column, row
from .composite import see, tower
from .image_codes import batch_norm
from .registry import family

NAMES = ("q_proj", "k_proj", "v_proj", "o_proj")
MOST_STEPS = 16  # convolutions that halve the frames


def subsampling(c: Config, t: Trace) -> Tensor:
    """Convolutions that halve the frames, all but the first of them separable."""
    wide, side, stride = (
        c.size(f"subsampling_conv_{name}") for name in ("channels", "kernel_size", "stride")
    )
    steps = int(log2(c.size("subsampling_factor")))
    if steps > MOST_STEPS:
        raise c.wrong(
            "subsampling_factor", "config_out_of_range", value=2**steps, least=1, most=2**MOST_STEPS
        )
    kernel = (side, side)
    x = t.elementwise("relu", t.convolution("layers.0", t.input(1, Axis.SOURCE), wide, kernel=kernel))
    for i in range(steps - 1):
        x = t.convolution(f"layers.{3 * i + 2}", x, wide, kernel=kernel, groups=wide)
        x = t.elementwise("relu", t.convolution(f"layers.{3 * i + 3}", x, wide, kernel=(1, 1)))
    bins = c.size("num_mel_bins") // stride**steps
    return t.linear("linear", t.input(wide * bins, Axis.SOURCE), c.hidden, bias=True)


def relative(t: Trace, x: Tensor, shape: Heads, bias: bool) -> Tensor:
    """Content and relative positions, each against queries with a bias of their own (arXiv 1901.02860)."""
    split = column(shape.heads)
    with t.scope("self_attn"):
        q, k, v = (t.linear(f"{name}_proj", x, shape.query_width, bias=bias, split=split) for name in "qkv")
        r = t.linear("relative_k_proj", t.input(x.width, Axis.SEQUENCE), shape.query_width, split=split)
        t.hold(*(t.parameter(f"bias_{name}", (shape.heads, shape.head_dim)) for name in "uv"))
        t.product(t.elementwise("scale", q), r, shape.query_width, 1)
        out = attend(t, t.elementwise("scale", q), k, v, shape)
        return t.linear("o_proj", out, x.width, bias=bias, split=row(shape.heads))


def convolve(t: Trace, x: Tensor, c: Config) -> Tensor:
    """A gated pointwise convolution, a depthwise one, a norm by the training set's statistics."""
    bias = c.flag("convolution_bias", True)
    with t.scope("conv"):
        both = t.convolution("pointwise_conv1", x, 2 * x.width, kernel=(1,), bias=bias)
        mixed = t.elementwise("glu", both, width=x.width)
        kernel = (c.size("conv_kernel_size"),)
        mixed = t.convolution("depthwise_conv", mixed, x.width, kernel=kernel, groups=x.width, bias=bias)
        batch_norm(t, "norm", x.width)
        mixed = t.elementwise(c.text("hidden_act", "silu"), mixed)
        return t.convolution("pointwise_conv2", mixed, x.width, kernel=(1,), bias=bias)


@tower("parakeet_encoder")
def parakeet(c: Config, m: ModelBuilder) -> None:
    """FastConformer (arXiv 2305.05084)."""
    if c.hidden < c.heads:
        raise c.wrong("num_attention_heads", "config_not_divisible", value=c.heads, of=c.hidden)
    bias, act = c.flag("attention_bias", True), c.text("hidden_act", "silu")
    shape = Heads(c.heads, c.heads, c.hidden // c.heads, rotary_dim=0, causal=False, cached=False,
                  score_bias=True, dropout=c.number("attention_dropout", 0.0))  # fmt: skip

    def feed(t: Trace, x: Tensor, module: str) -> Tensor:
        names = ("linear1", "linear2")
        out = plain(t, x, c.inner, module=module, names=names, activation=act, bias=bias)
        return t.elementwise("scale", out)

    def layer(t: Trace, x: Tensor) -> Tensor:
        parts = (
            ("norm_feed_forward1", partial(feed, module="feed_forward1")),
            ("norm_self_att", partial(relative, shape=shape, bias=bias)),
            ("norm_conv", partial(convolve, c=c)),
            ("norm_feed_forward2", partial(feed, module="feed_forward2")),
        )
        return t.norm("norm_out", halves(t, x, parts, pre=True), style="layer")

    m.single("encoder", partial(subsampling, c), name="subsampling")
    m.stack(c.layers, layer, width=c.hidden, axis=Axis.SOURCE)


def decoder(c: Config, m: ModelBuilder, source: int, *, learned: bool, projects: bool) -> None:
    """Layers with attention to the encoder; `learned` positions or computed ones, the encoder's rows made
    as wide as the decoder (`projects`)."""
    heads = Heads(c.heads, c.kv_heads, c.maybe("head_dim") or c.hidden // c.heads, rotary_dim=0,
                  dropout=c.number("attention_dropout", 0.0))  # fmt: skip
    if c.heads % c.kv_heads:
        raise c.wrong("num_key_value_heads", "config_not_divisible", value=c.kv_heads, of=c.heads)
    bias = c.flag("attention_bias", True)
    mlp = partial(plain, inner=c.inner, names=("fc1", "fc2"), activation=c.text("hidden_act", "relu"))
    parts = (
        ("input_layernorm", partial(grouped, shape=heads, bias=bias)),
        (
            "post_attention_layernorm",
            partial(cross_attention, shape=heads, names=NAMES, bias=bias),
        ),
        ("final_layernorm", mlp),
    )

    def embed(t: Trace) -> Tensor:
        x = t.embedding("embed_tokens", c.vocab, c.hidden)
        rows = c.size("max_position_embeddings")
        places = (
            t.embedding("pos_emb", rows, c.hidden, axis=Axis.SEQUENCE)
            if learned
            else t.input(c.hidden, Axis.SEQUENCE)
        )
        return t.norm("embedding_layernorm", t.add(x, places), style="layer")

    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    m.single("embedding", embed)
    if projects:
        m.single("projector", lambda t: t.linear("proj", t.input(source, Axis.SOURCE), c.hidden, bias=True))
    m.stack(c.layers, lambda t, x: halves(t, x, parts, pre=True), width=c.hidden)
    m.final_norm("norm", c.hidden, style="layer")


def transcriber(c: Config, m: ModelBuilder, text: Config, *, learned: bool, projects: bool) -> None:
    """The conformer, the decoder, a head with a bias."""
    m.notes["kind"] = "encoder_decoder"
    audio = see(c, m, "model.encoder", "encoder_config", component="encoder")
    with m.prefix("model.decoder"):
        decoder(text, m, audio.hidden, learned=learned, projects=projects)

    def beside(t: Trace) -> Tensor:
        t.hold(t.parameter("proj_out.bias", (text.vocab,), Role.BIAS))
        return t.input(text.hidden)

    m.head("proj_out", text.hidden, text.vocab, tied=c.tied, before=beside)


@family("canary")
def canary(c: Config, m: ModelBuilder) -> None:
    """Canary (arXiv 2406.19674)."""
    transcriber(c, m, c.sub("decoder_config"), learned=False, projects=False)


@family("cohere_asr")
def cohere_asr(c: Config, m: ModelBuilder) -> None:
    """Cohere's transcriber: learned positions, the encoder's rows made narrower."""
    transcriber(c, m, c, learned=True, projects=True)
