"""Qwen2.5-Omni whole (arXiv 2503.20215): the thinker, the talker that speaks for it, the sound of its codes.

What speaks has rows of its own (codes and frames of speech), so that a text answer costs nothing there; its
keys and values, which exist while it speaks only, are not in the cache of the text.
"""

from typing import TypeVar

from msgspec.structs import replace

from ..builder import ModelBuilder
from ..config import Config
from ..operations import Attention, Axis, Operation, Role, Tensor
from ..sections import Block, Section
from ..trace import Trace
from .florence import stages
from .omni import write_thinker
from .qwen import dense
from .registry import family

Kind = TypeVar("Kind", bound=Operation)
TIMES = 256  # sines that tell the step of the diffusion
FLOAT32 = "float32"


def spoken(section: Section) -> Section:
    """The section with spoken rows for tokens, nothing of which is kept for the text."""

    def moved(x: Tensor) -> Tensor:
        return replace(x, axis=Axis.SPOKEN) if x.axis is Axis.TOKENS else x

    def written(op: Kind) -> Kind:
        made = replace(op, inputs=tuple(map(moved, op.inputs)), outputs=tuple(map(moved, op.outputs)))
        return replace(made, cache=None) if isinstance(made, Attention) else made

    block: Block = section.block
    inputs, output = tuple(map(moved, block.inputs)), moved(block.output) if block.output else None
    operations = tuple(map(written, block.operations))
    return replace(
        section, needs=Axis.SPOKEN, block=replace(block, operations=operations, inputs=inputs, output=output)
    )


def exact(section: Section) -> Section:
    """The section with its weights in 32 bits."""

    def written(op: Kind) -> Kind:
        kept = tuple(replace(p, dtype=FLOAT32) for p in op.parameters)
        return replace(op, parameters=kept) if kept else op

    operations = tuple(map(written, section.block.operations))
    return replace(section, needs=Axis.SPOKEN, block=replace(section.block, operations=operations))


def rows(t: Trace, width: int) -> Tensor:
    """Frames of speech."""
    return t.input(width, Axis.SPOKEN)


def talker(c: Config, m: ModelBuilder) -> None:
    """Qwen 2's layers over codes of speech, each joined with what the thinker thought."""
    wide = c.size("embedding_size")
    m.single("talker", lambda t: t.linear("thinker_to_talker_proj", t.input(wide), c.hidden, bias=True))
    layers = ModelBuilder()
    with layers.component("talker"), layers.prefix("talker.model"):
        layers.embed("embed_tokens", c.vocab, wide)
        dense(c, layers, bias=True, out_bias=False, qk_norm=None)
    m.sections += [layers.sections[0], *layers.sections[2:]]  # without the embedding as wide as the layers
    m.head("codec_head", c.hidden, c.vocab, tied=False, adapted=True)


def delayed(t: Trace, name: str, x: Tensor, out: int, kernel: int) -> Tensor:
    """A time-delay layer: a convolution over frames."""
    return t.elementwise("relu", t.convolution(f"{name}.conv", x, out, kernel=(kernel,)))


def squeezed(t: Trace, x: Tensor, channels: int, narrow: int, kernel: int, scale: int) -> Tensor:
    """Two layers with a chain of narrow ones between them, weighed by what the whole says."""
    x = delayed(t, "tdnn1", x, channels, 1)
    part = channels // scale
    for i in range(scale - 1):
        delayed(t, f"res2net_block.blocks.{i}", t.view(x, part, kind="slice"), part, kernel)
    x = delayed(t, "tdnn2", t.view(x, channels), channels, 1)
    with t.scope("se_block"):
        low = t.elementwise("relu", t.convolution("conv1", x, narrow, kernel=(1,)))
        return t.multiply(x, t.elementwise("sigmoid", t.convolution("conv2", low, channels, kernel=(1,))))


def speaker(c: Config, m: ModelBuilder) -> None:
    """ECAPA-TDNN (arXiv 2005.07143), which hears whose voice it shall be."""
    channels, kernels = stages(c, "enc_channels"), stages(c, "enc_kernel_sizes")
    if len(kernels) != len(channels) or len(channels) < 2:
        raise c.wrong("enc_kernel_sizes", "config_layer_types", value=len(kernels), layers=len(channels))
    scale = c.count("enc_res2net_scale")
    last, narrow = channels[-1], c.size("enc_attention_channels")

    def pooled(t: Trace) -> Tensor:
        x = delayed(t, "mfa", rows(t, last), last, kernels[-1])
        with t.scope("asp"):
            low = delayed(t, "tdnn", t.concat(x, x, x), narrow, 1)
            t.convolution("conv", low, last, kernel=(1,))
        return t.convolution("fc", t.concat(x, x), c.size("enc_dim"), kernel=(1,))

    m.single("talker", lambda t: delayed(t, "blocks.0", rows(t, c.size("mel_dim")), channels[0], kernels[0]))
    for i, width in enumerate(channels[1:-1], 1):
        m.single(
            "talker",
            lambda t, i=i, width=width: squeezed(  # type: ignore[misc]
                t, rows(t, channels[i - 1]), width, c.size("enc_se_channels"), kernels[i], scale
            ),
            name=f"blocks.{i}",
        )
    m.single("talker", pooled)


def diffusion(c: Config, m: ModelBuilder) -> None:
    """Layers that turn noise into a mel spectrogram, each told the step by its norms."""
    width, mel, inner = c.hidden, c.size("mel_dim"), c.heads * c.size("head_dim")
    fed = int(width * c.number("ff_mult", 2))
    joined = mel + c.size("enc_dim") + c.size("enc_emb_dim") + c.size("emb_dim")

    def enter(t: Trace) -> Tensor:
        time = t.linear("time_embed.time_mlp.0", t.input(TIMES, Axis.ONE), width, bias=True)
        t.linear("time_embed.time_mlp.2", t.elementwise("silu", time), width, bias=True)
        t.embedding("text_embed.codec_embed", c.size("num_embeds") + 1, c.size("emb_dim"), axis=Axis.SPOKEN)
        return t.linear("input_embed.proj", rows(t, joined), width, bias=True)

    def layer(t: Trace, x: Tensor) -> Tensor:
        t.linear("attn_norm.linear", t.input(width, Axis.ONE), 6 * width, bias=True)
        normed = t.norm("", x, style="layer_plain")
        with t.scope("attn"):
            q, k, v = (t.linear(f"to_{name}", normed, inner, bias=True) for name in "qkv")
            out = t.attention(
                q, k, v, heads=c.heads, kv_heads=c.heads, key_dim=inner // c.heads, causal=False, cached=False
            )
            x = t.add(x, t.linear("to_out.0", out, width, bias=True))
        h = t.elementwise("gelu", t.linear("ff.ff.0", t.norm("", x, style="layer_plain"), fed, bias=True))
        return t.add(x, t.linear("ff.ff.3", h, width, bias=True))

    def leave(t: Trace) -> Tensor:
        t.linear("norm_out.linear", t.input(width, Axis.ONE), 2 * width, bias=True)
        return t.linear("proj_out", t.norm("", rows(t, width), style="layer_plain"), mel, bias=True)

    m.single("talker", enter)
    with m.prefix("input_embed.spk_encoder"):
        speaker(c, m)
    m.stack(c.layers, layer, width=width, name="transformer_blocks.{}", axis=Axis.SPOKEN)
    m.single("talker", leave)


def snake(t: Trace, name: str, x: Tensor) -> Tensor:
    """x + sin^2(a x) / b for every channel, between a finer grid and back."""
    t.hold(*(t.parameter(f"{name}.act.{part}", (x.width,)) for part in ("alpha", "beta")))
    return t.elementwise("snake", x)


def vocoder(c: Config, m: ModelBuilder) -> None:
    """BigVGAN (arXiv 2206.04658): a spectrogram to sound, by transposed convolutions that halve the width.

    Of the frames' finer and finer grid only the widths are described, not how many places there are.
    """
    first, mel = c.size("upsample_initial_channel"), c.size("mel_dim")
    rates = stages(c, "upsample_rates")
    reaches, kernels = stages(c, "upsample_kernel_sizes", len(rates)), stages(c, "resblock_kernel_sizes")
    if first >> len(rates) < 1:
        raise c.wrong(
            "upsample_initial_channel", "config_out_of_range", value=first, least=2 ** len(rates), most=2**20
        )

    def finer(t: Trace, i: int) -> Tensor:
        x, out = rows(t, first >> i), first >> (i + 1)
        with t.scope(f"ups.{i}.0"):
            t.hold(t.parameter("weight", (x.width, out, reaches[i]), Role.CONVOLUTION))
            t.hold(t.parameter("bias", (out,), Role.BIAS))
        return t.elementwise("upsample", x, width=out)

    def mixed(t: Trace, width: int, kernel: int) -> Tensor:
        x = rows(t, width)
        for i in range(3):
            h = t.convolution(f"convs1.{i}", snake(t, f"activations.{2 * i}", x), width, kernel=(kernel,))
            h = t.convolution(f"convs2.{i}", snake(t, f"activations.{2 * i + 1}", h), width, kernel=(kernel,))
            x = t.add(x, h)
        return x

    last = first >> len(rates)
    m.single("talker", lambda t: t.convolution("conv_pre", rows(t, mel), first, kernel=(7,)))
    for i in range(len(rates)):
        m.single("talker", lambda t, i=i: finer(t, i))  # type: ignore[misc]
    for i in range(len(rates) * len(kernels)):
        width, kernel = first >> (i // len(kernels) + 1), kernels[i % len(kernels)]
        m.single(
            "talker",
            lambda t, width=width, kernel=kernel: mixed(t, width, kernel),  # type: ignore[misc]
            name=f"resblocks.{i}",
        )
    m.single(
        "talker",
        lambda t: t.convolution(
            "conv_post", snake(t, "activation_post", rows(t, last)), 1, kernel=(7,), bias=False
        ),
    )


@family("qwen2_5_omni")
def qwen2_5_omni(c: Config, m: ModelBuilder) -> None:
    """The thinker answers; talker, diffusion and vocoder (in 32 bits) stand beside it unless switched off."""
    with m.prefix("thinker"):
        write_thinker(c.sub("thinker_config"), m, adapted=True)
    if not c.flag("enable_audio_output", True):
        return
    voice, sound = ModelBuilder(), ModelBuilder()
    with voice.component("talker"), voice.prefix("talker"):
        talker(c.sub("talker_config"), voice)
    made = c.sub("token2wav_config")
    with sound.component("talker"):
        with sound.prefix("token2wav.code2wav_dit_model"):
            diffusion(made.sub("dit_config"), sound)
        with sound.prefix("token2wav.code2wav_bigvgan_model"):
            vocoder(made.sub("bigvgan_config"), sound)
    m.sections += [spoken(section) for section in voice.sections]
    m.sections += [exact(section) for section in sound.sections]
