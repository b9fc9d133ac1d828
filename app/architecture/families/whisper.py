"""Whisper and other transcribers, and the encoders that speech models borrow of it."""

from functools import partial

from ..blocks.attention import Heads, grouped
from ..blocks.cross import cross_attention
from ..blocks.encoder_decoder import halves
from ..blocks.feed_forward import fused_gated, plain
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .bart import Line, decoder, embed, encoder
from .composite import language, logits, project, see, tower
from .llama import activation
from .registry import family

LINE = Line(
    pre=True,
    embed_norm=None,
    final_norm="layer_norm",
    offset=0,
    logits_bias=False,
    key_bias=False,
    positions="max_target_positions",
)


def stem(c: Config, t: Trace, width: int) -> Tensor:
    """Two convolutions over mel frames, the second of stride two."""
    frames = t.input(2 * c.size("num_mel_bins"), Axis.SOURCE)
    x = t.convolution("conv1", frames, width, kernel=(3,), channels_in=c.size("num_mel_bins"), per_row=2)
    x = t.convolution("conv2", t.elementwise("gelu", x), width, kernel=(3,), channels_in=width)
    return t.elementwise("gelu", x)


@tower("qwen2_audio_encoder", "voxtral_encoder", "audioflamingo3_encoder", "moss_transcribe_diarize_audio")
def whisper_encoder(c: Config, m: ModelBuilder) -> None:
    """Whisper's encoder (arXiv 2212.04356): 30 seconds of sound in 1500 positions."""
    width, count = c.size("d_model"), c.size("max_source_positions")

    def write(t: Trace) -> Tensor:
        x = stem(c, t, width)
        return t.add(x, t.embedding("embed_positions", count, width, axis=Axis.SEQUENCE))

    m.single("audio", write)
    encoder(c, m, LINE)
    m.notes["audio"] = {"frames": 2 * count, "tokens": count}


@family("whisper")
def whisper(c: Config, m: ModelBuilder) -> None:
    """Whisper: the encoder always sees 30 seconds."""
    m.notes |= {"kind": "encoder_decoder", "source": c.size("max_source_positions")}
    m.hidden_size, m.vocab_size = c.size("d_model"), c.vocab
    with m.prefix("model"):
        with m.prefix("encoder"), m.component("encoder"):
            whisper_encoder(c, m)
        with m.prefix("decoder"):
            embed(c, m, LINE, "decoder", rows=c.vocab, tied=False)
            decoder(c, m, LINE)
    m.head("proj_out", c.size("d_model"), c.vocab, tied=c.tied)


@family("speech_to_text")
def speech_to_text(c: Config, m: ModelBuilder) -> None:
    """S2T (arXiv 2010.05171): gated convolutions, computed positions."""
    line = Line(pre=True, embed_norm=None, final_norm="layer_norm", offset=None, logits_bias=False)
    width, middle = c.size("d_model"), c.size("conv_channels")
    kernels, count = c.items("conv_kernel_sizes") or [], c.count("num_conv_layers")
    if len(kernels) != count or not all(type(k) is int and 0 < k < 2**16 for k in kernels):
        raise c.wrong("conv_kernel_sizes", "config_layer_types", value=len(kernels), layers=count)

    def convolutions(t: Trace) -> Tensor:
        channels = c.size("input_feat_per_channel") * c.size("input_channels")
        x = t.input(channels, Axis.SOURCE)
        for index, kernel in enumerate(kernels):
            out = middle if index < count - 1 else 2 * width
            x = t.convolution(f"conv_layers.{index}", x, out, kernel=(kernel,), channels_in=channels)
            channels = out // 2
            x = t.elementwise("glu", x, width=channels)
        return x

    m.notes["kind"] = "encoder_decoder"
    m.hidden_size, m.vocab_size = width, c.vocab
    with m.prefix("model"):
        with m.prefix("encoder"), m.component("encoder"):
            m.single("audio", convolutions, name="conv")
            encoder(c, m, line)
        with m.prefix("decoder"):
            embed(c, m, line, "decoder", rows=c.vocab, tied=False)
            decoder(c, m, line)
    m.head("lm_head", width, c.vocab, tied=c.tied)


NAMES = ("q_proj", "k_proj", "v_proj", "o_proj")


def moonshine_heads(c: Config, *, decodes: bool) -> Heads:
    """Heads of both stacks: building the encoder, the library overwrites the decoder's numbers."""
    count = c.size("encoder_num_attention_heads")
    kv = c.size("encoder_num_key_value_heads", count)
    if c.hidden % count or count % kv:
        raise c.wrong("encoder_num_attention_heads", "config_not_divisible", value=count, of=c.hidden)
    return Heads(count, kv, c.hidden // count, causal=decodes, cached=decodes)


@family("moonshine")
def moonshine(c: Config, m: ModelBuilder) -> None:
    """Moonshine (arXiv 2410.15608): convolutions over the wave itself, rotary positions."""
    width, bias = c.hidden, c.flag("attention_bias")

    def wave(t: Trace) -> Tensor:
        x = t.convolution("conv1", t.input(1, Axis.SOURCE), width, kernel=(127,), bias=False, per_row=6)
        x = t.norm("groupnorm", t.elementwise("tanh", x), style="group", width=width, bias=True)
        x = t.convolution("conv2", x, 2 * width, kernel=(7,), channels_in=width, per_row=2)
        return t.convolution("conv3", t.elementwise("gelu", x), width, kernel=(3,), channels_in=2 * width)

    def encode(t: Trace, x: Tensor) -> Tensor:
        shape = moonshine_heads(c, decodes=False)
        mlp = partial(plain, inner=c.inner, names=("fc1", "fc2"), activation=c.text("encoder_hidden_act"))
        attention = partial(grouped, shape=shape, bias=bias, out_bias=False)
        return halves(
            t,
            x,
            (("input_layernorm", attention), ("post_attention_layernorm", mlp)),
            pre=True,
            style="layer_wide",
        )

    def decode(t: Trace, x: Tensor) -> Tensor:
        shape = moonshine_heads(c, decodes=True)
        mlp = partial(
            fused_gated,
            inner=c.inner,
            names=("fc1", "fc2"),
            bias=True,
            activation=c.text("decoder_hidden_act"),
        )
        crossed = partial(cross_attention, shape=shape, names=NAMES, bias=bias, out_bias=False)
        parts = (
            ("input_layernorm", partial(grouped, shape=shape, bias=bias, out_bias=False)),
            ("post_attention_layernorm", crossed),
            ("final_layernorm", mlp),
        )
        return halves(t, x, parts, pre=True, style="layer_wide")

    m.notes["kind"] = "encoder_decoder"
    with m.prefix("model"):
        with m.prefix("encoder"), m.component("encoder"):
            m.single("audio", wave)
            m.stack(c.count("encoder_num_hidden_layers"), encode, width=width, axis=Axis.SOURCE)
            m.single("norm", lambda t: t.norm("layer_norm", t.input(width, Axis.SOURCE), style="layer_wide"))
        with m.prefix("decoder"):
            m.embed("embed_tokens", c.vocab, width)
            m.stack(c.count("decoder_num_hidden_layers"), decode, width=width)
            m.final_norm("norm", width, style="layer_wide")
    m.head("proj_out", width, c.vocab, tied=c.tied)


@tower("glmasr_encoder")
def glmasr_encoder(c: Config, m: ModelBuilder) -> None:
    """GLM-ASR: Whisper's stem, rotary positions on half of each head."""
    shape = Heads.of(c, causal=False, cached=False)
    attention = partial(mixed_bias, shape=shape)
    mlp = partial(plain, inner=c.inner, names=("fc1", "fc2"), activation=activation(c))

    def layer(t: Trace, x: Tensor) -> Tensor:
        return halves(t, x, (("input_layernorm", attention), ("post_attention_layernorm", mlp)), pre=True)

    m.single("audio", lambda t: stem(c, t, c.hidden))
    m.stack(c.layers, layer, width=c.hidden, axis=Axis.SOURCE)
    m.single("norm", lambda t: t.norm("norm", t.input(c.hidden, Axis.SOURCE), style="layer"))


def mixed_bias(t: Trace, x: Tensor, shape: Heads, *, names: tuple[str, str, str, str] = NAMES) -> Tensor:
    """Biases on all projections but the keys'."""
    return grouped(t, x, shape, names=names, bias=True, key_bias=False)


def heard(c: Config, m: ModelBuilder, name: str = "model.audio_tower") -> tuple[Config, Config]:
    """The audio tower and the language model."""
    audio = see(c, m, name, "audio_config", component="audio")
    return audio, language(c, m)


def two_linears(
    c: Config,
    m: ModelBuilder,
    fan_in: int,
    text: Config,
    *,
    inner: int | None = None,
    bias: bool,
    norm: bool = False,
) -> None:
    """linear_1, the activation, linear_2 (and a norm)."""

    def write(t: Trace) -> Tensor:
        x = t.linear("linear_1", t.input(fan_in, Axis.IMAGE_TOKENS), inner or text.hidden, bias=bias)
        x = t.linear(
            "linear_2", t.elementwise(c.text("projector_hidden_act", "gelu"), x), text.hidden, bias=bias
        )
        return t.norm("norm", x, style="layer") if norm else x

    project(m, "model.multi_modal_projector", write)


@family("qwen2_audio")
def qwen2_audio(c: Config, m: ModelBuilder) -> None:
    """Qwen2-Audio (arXiv 2407.10759): one linear layer between the two."""
    audio, text = heard(c, m)
    width = audio.size("d_model")
    project(
        m,
        "model.multi_modal_projector",
        lambda t: t.linear("linear", t.input(width, Axis.IMAGE_TOKENS), text.hidden, bias=True),
    )
    logits(c, m, text)


@family("voxtral", "audioflamingo3", "musicflamingo", "glmasr", "moss_transcribe_diarize")
def voxtral(c: Config, m: ModelBuilder) -> None:
    """Voxtral (arXiv 2507.13264) and others: positions put together, then two linear layers."""
    audio, text = heard(c, m)
    kind = c.model_type
    if kind in ("voxtral", "glmasr"):
        wide = audio.size("intermediate_size")
        inner = 2 * text.hidden if kind == "glmasr" else None
        two_linears(c, m, wide, text, inner=inner, bias=kind == "glmasr")
    elif kind == "moss_transcribe_diarize":
        merge = c.size("audio_merge_size")
        two_linears(c, m, audio.hidden * merge, text, bias=c.flag("projector_bias", True), norm=True)
    else:
        two_linears(c, m, audio.hidden, text, bias=c.flag("projector_bias", True))
    logits(c, m, text)
