"""Gemma 3n whole: MobileNetV5 for pictures, a conformer for sound, and the text model."""

from functools import partial

from ..blocks.vision import held
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace, column, row
from .composite import language, logits, project, see, tower
from .gemma3n import STYLE
from .registry import family


def stem(c: Config, m: ModelBuilder) -> None:
    """Two convolutions, each over a coarser grid of frames and frequencies, then a linear layer."""
    channels, kernels, strides = (
        c.items(f"sscp_conv_{name}") or [] for name in ("channel_size", "kernel_size", "stride_size")
    )
    pairs = [p for p in [*kernels, *strides] if isinstance(p, list | tuple) and len(p) == 2]
    numbers = [*channels, *(n for pair in pairs for n in pair)]
    if len(channels) != 2 or len(pairs) != 4 or not all(type(n) is int and 0 < n < 2**20 for n in numbers):
        raise c.wrong("sscp_conv_kernel_size", "config_not_list", value=str(kernels)[:40])

    def write(t: Trace) -> Tensor:
        bins, frames, fan_in = c.size("input_feat_size"), strides[0][0] * strides[1][0], 1
        x = t.input(bins * frames, Axis.SOURCE)
        for i in range(2):
            bins = (bins + 2 - kernels[i][1]) // strides[i][1] + 1
            frames //= strides[i][0]
            if bins < 1:
                raise c.wrong("input_feat_size", "config_out_of_range", value=bins, least=1, most=2**20)
            with t.scope(f"conv_{i}"):
                x = t.convolution(
                    "conv",
                    x,
                    channels[i],
                    kernel=kernels[i],
                    bias=False,
                    channels_in=fan_in,
                    per_row=bins * frames,
                )
                x = t.elementwise("relu", t.norm("norm", x, style="group", bias=False, width=channels[i]))
            fan_in = channels[i]
        return t.linear("input_proj_linear", t.view(x, fan_in * bins), c.hidden)

    m.single("audio", write, name="subsample_conv_projection")


def half(t: Trace, x: Tensor, name: str) -> Tensor:
    """A feed-forward block between norms, of which half is added."""
    with t.scope(name):
        h = t.linear("ffw_layer_1", t.norm("pre_layer_norm", x, style=STYLE), 4 * x.width)
        h = t.linear("ffw_layer_2", t.elementwise("silu", h), x.width)
        return t.add(x, t.elementwise("scale", t.norm("post_layer_norm", h, style=STYLE)))


def local_attention(t: Trace, x: Tensor, c: Config, heads: int) -> Tensor:
    """Queries of a chunk over the frames of its context, with relative positions."""
    left, right = (c.size(f"conf_attention_context_{side}", least=0) for side in ("left", "right"))
    dim, past = x.width // heads, max(0, left - 1)
    with t.scope("attention"):
        normed = t.norm("pre_attn_norm", x, style=STYLE)
        with t.scope("attn"):
            held(t, "per_dim_scale", dim)
            places = t.input((past + right + 1) * x.width, Axis.ONE)
            t.linear("relative_position_embedding.pos_proj", places, x.width, fan_in=x.width)
            q, k, v = (t.linear(f"{name}_proj", normed, x.width, split=column(heads)) for name in "qkv")
            out = t.attention(
                q, k, v, heads=heads, kv_heads=heads, key_dim=dim, causal=False, cached=False, softcap=True,
                bias=True, window=c.size("conf_attention_chunk_size") + past + right,
            )  # fmt: skip
        out = t.linear("post", out, x.width, split=row(heads))
        return t.add(x, t.norm("post_norm", out, style=STYLE))


def light_convolution(t: Trace, x: Tensor, kernel: int) -> Tensor:
    """A gate, a depthwise convolution over frames, a linear layer."""
    with t.scope("lconv1d"):
        h = t.linear("linear_start", t.norm("pre_layer_norm", x, style=STYLE), 2 * x.width)
        h = t.elementwise("glu", h, width=x.width)
        h = t.convolution("depthwise_conv1d", h, x.width, kernel=(kernel,), groups=x.width, bias=False)
        h = t.elementwise("silu", t.norm("conv_norm", h, style=STYLE))
        return t.add(x, t.linear("linear_end", h, x.width))


@tower("gemma3n_audio")
def gemma3n_audio(c: Config, m: ModelBuilder) -> None:
    """The Universal Speech Model's conformer (arXiv 2303.01037)."""
    heads = c.size("conf_num_attention_heads")
    if c.hidden % heads:
        raise c.wrong("conf_num_attention_heads", "config_not_divisible", value=heads, of=c.hidden)

    def layer(t: Trace, x: Tensor) -> Tensor:
        x = local_attention(t, half(t, x, "ffw_layer_start"), c, heads)
        x = half(t, light_convolution(t, x, c.size("conf_conv_kernel_size")), "ffw_layer_end")
        return t.norm("norm", x, style=STYLE)

    stem(c, m)
    m.stack(
        c.count("conf_num_hidden_layers"), layer, width=c.hidden, name="conformer.{}", axis=Axis.SOURCE,
        needs={(): Axis.SOURCE},
    )  # fmt: skip


def embedder(t: Trace, tower: Config, text: Config, axis: Axis) -> None:
    """A tower's rows to the width of the text, and all tokens, for the few of them that are its marks."""
    width = tower.hidden
    marks = t.embedding("embedding", tower.size("vocab_size"), width)
    for name, x in (("hard", marks), ("soft", t.input(width, axis))):
        x = t.norm(f"{name}_embedding_norm", x, style=STYLE)
        t.norm("", t.linear("embedding_projection", x, text.hidden), style="rms_plain")


@family("gemma3n")
def gemma3n(c: Config, m: ModelBuilder) -> None:
    """Gemma 3n with both of its towers."""
    vision = see(c, m, "model.vision_tower")
    text = language(c, m)
    audio = see(c, m, "model.audio_tower", "audio_config", component="audio")
    for name, seen, axis in (("vision", vision, Axis.IMAGE_TOKENS), ("audio", audio, Axis.SOURCE)):
        project(m, f"model.embed_{name}", partial(embedder, tower=seen, text=text, axis=axis))
    logits(c, m, text)
