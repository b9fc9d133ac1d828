"""Phi-4 multimodal: Phi-3's layers, SigLIP's for pictures, a conformer for sound."""

from functools import partial
from math import log2

from ..blocks.attention import Heads, grouped
from ..blocks.feed_forward import fused_gated
from ..blocks.vision import held, patches, pooling_head, positions, two_layers
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Role, Tensor
from ..trace import Trace
from .composite import logits, picture
from .llama import activation
from .phi import phi3
from .registry import family
from .towers import norm, places, plain_layers

CHANNELS = ("q_proj", "k_proj", "v_proj", "o_proj")


def siglip(c: Config, m: ModelBuilder) -> None:
    """SigLIP with its pooling head, which the language model does not read."""

    def embed(t: Trace) -> Tensor:
        x = patches(t, "patch_embedding", c.size("num_channels"), c.hidden, c.pair("patch_size"))
        return positions(t, x, "position_embedding", places(c))

    m.single("vision", embed, name="embeddings")
    plain_layers(c, m)
    norm(m, "post_layernorm", c.hidden)
    m.single(
        "vision",
        lambda t: pooling_head(t, t.input(c.hidden, Axis.PATCHES), c.heads, c.inner, activation(c)),
        name="head",
    )
    side = c.pair("image_size")[0] // c.pair("patch_size")[0]
    picture(m, size=c.pair("crop_size"), patches=places(c), tokens=((side + 1) // 2) ** 2)


def see(c: Config, m: ModelBuilder) -> None:
    """The tower, learned separators, two layers to the text."""
    vision = c.sub("vision_config")
    names = ("img_projection_up", "img_projection_down")
    with m.prefix("model.embed_tokens_extend.image_embed"):
        with m.component("vision"), m.prefix("img_processor"):
            siglip(vision, m)

        def connect(t: Trace) -> Tensor:
            held(t, "global_img_feature_extensor", 1, 1, vision.hidden)
            held(t, "sub_img_feature_extensor", 1, 1, 1, vision.hidden)
            return two_layers(t, t.input(vision.hidden, Axis.IMAGE_TOKENS), names, c.hidden, c.hidden, "gelu")

        m.single("projector", connect)


def stem(c: Config, t: Trace) -> Tensor:
    """Frames normalised, then halved by convolutions, all but the first of them separable."""
    bins, wide, halvings = (
        c.size("input_size"),
        c.size("nemo_conv_channels"),
        int(log2(c.size("time_reduction"))),
    )
    with t.scope("encoder_embedding"):
        t.hold(*(t.parameter(f"global_{name}", (bins,), buffer=True) for name in ("mean", "invstd")))
    act = c.text("nemo_activation")
    with t.scope("embed"):
        x = t.elementwise(act, t.convolution("conv.0", t.input(1, Axis.SOURCE), wide, kernel=(3, 3)))
        for i in range(halvings - 1):
            x = t.convolution(f"conv.{3 * i + 2}", x, wide, kernel=(3, 3), groups=wide)
            x = t.elementwise(act, t.convolution(f"conv.{3 * i + 3}", x, wide, kernel=(1, 1)))
        for _ in range(halvings):
            bins = (bins + 1) // 2
        return t.linear("out", t.input(wide * bins, Axis.SOURCE), c.hidden, bias=True)


def convolve(c: Config, t: Trace, x: Tensor) -> Tensor:
    """A gated pointwise convolution, a separable one, a pointwise one."""
    out, many = c.size("ext_pw_out_channel"), c.hidden * c.size("depthwise_multiplier")
    deep = c.size("depthwise_separable_out_channel")
    x = t.norm("layer_norm", x, style="layer")
    with t.scope("glu"):
        both = t.convolution("ext_pw_conv_1d", x, 2 * out, kernel=(1,))
        value, gate = t.split(both, out, out, kind="chunk")
        t.hold(*(t.parameter(name, (1, out, 1), Role.BIAS) for name in ("b1", "b2")))
        x = t.multiply(value, t.elementwise(c.text("conv_glu_type"), gate))
    with t.scope("dw_sep_conv_1d"):
        kernel = (c.size("kernel_size"),)
        x = t.convolution("dw_conv", x, many, kernel=kernel, groups=c.hidden, channels_in=c.hidden)
        x = t.convolution("pw_conv", x, deep, kernel=(1,), channels_in=many)
    x = t.elementwise(c.text("conv_activation"), x)
    return t.convolution("ext_pw_conv_1d", x, out, kernel=(1,), channels_in=c.hidden)


def conformer_layer(t: Trace, x: Tensor, c: Config) -> Tensor:
    """Half a block, attention, convolution, half a block (arXiv 2005.08100)."""
    shape = Heads(
        c.heads, c.heads, c.hidden // c.heads, rotary_dim=0, causal=False, cached=False, score_bias=True
    )  # fmt: skip

    def half(x: Tensor, name: str) -> Tensor:
        with t.scope(name):
            normed = t.norm("layer_norm", x, style="layer")
            fed = fused_gated(t, normed, c.inner, module="", activation=c.text("activation"), bias=True)
        return t.add(x, t.elementwise("scale", fed))

    x = half(x, "feed_forward_in")
    x = t.add(x, grouped(t, t.norm("layer_norm_att", x, style="layer"), shape, names=CHANNELS, bias=True))
    with t.scope("conv"):
        x = t.elementwise("add", x, convolve(c, t, x), width=x.width)
    return t.norm("layer_norm", half(x, "feed_forward_out"), style="layer")


def hear(c: Config, m: ModelBuilder) -> None:
    """The conformer, and two pairs of layers to the text: for sound alone and for sound with pictures."""
    audio = c.sub("audio_config")
    buckets = audio.size("bias_max_distance") * (1 if audio.flag("bias_symmetric") else 2)
    with m.prefix("model.embed_tokens_extend.audio_embed"):
        with m.component("audio"), m.prefix("encoder"):
            m.single("audio", partial(stem, audio))
            m.single(
                "audio",
                lambda t: held(t, "relative_attention_bias_layer.bias_values.weight", buckets, audio.heads),
            )
            m.stack(
                audio.count("num_blocks"), partial(conformer_layer, c=audio), width=audio.hidden,
                name="encoders.{}", axis=Axis.SOURCE,
            )  # fmt: skip
        width = audio.hidden * audio.size("downsample_rate")
        for kind in ("speech", "vision_speech"):
            names = (f"up_proj_for_{kind}", f"down_proj_for_{kind}")
            write = partial(two_layers, names=names, inner=c.hidden, out=c.hidden, act="gelu")
            m.single("projector", lambda t, write=write: write(t, t.input(width, Axis.SOURCE)))  # type: ignore[misc]


@family("phi4_multimodal")
def phi4_multimodal(c: Config, m: ModelBuilder) -> None:
    """Phi-4 multimodal (arXiv 2503.01743), the adapters for pictures and sound merged or left out."""
    with m.prefix("model"):
        phi3(c, m)
    see(c, m)
    hear(c, m)
    m.notes["kind"] = "image_text"
    logits(c, m, c)
