"""wav2vec 2.0 (arXiv 2006.11477) and HuBERT as encoders of sound, and text decoders that attend to them."""

from functools import partial
from math import prod

from ..blocks.attention import grouped
from ..blocks.feed_forward import plain
from ..blocks.residual import outer_norm, pre_norm
from ..blocks.vision import both_ways, held
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Role, Tensor
from ..trace import Trace
from .composite import tower
from .florence import stages
from .registry import TOWERS, family
from .seq2seq import write_decoder
from .speech import batch_norm

NAMES = ("q_proj", "k_proj", "v_proj", "out_proj")
NORMS = ("layer_norm", "final_layer_norm")


def samples(c: Config, m: ModelBuilder) -> int:
    """Convolutions over samples, each coarser; a row stands for one frame of the last. Gives the width."""
    widths = stages(c, "conv_dim")
    kernels, strides = (stages(c, f"conv_{name}", len(widths)) for name in ("kernel", "stride"))
    kind = c.text("feat_extract_norm", "group")
    if kind not in ("group", "layer"):
        raise c.wrong("feat_extract_norm", "config_unknown_value", value=kind[:40])

    def step(t: Trace, i: int) -> Tensor:
        per_row, fan_in = prod(strides[i + 1 :]), widths[i - 1] if i else 1
        x = t.convolution(
            "conv", t.input(fan_in * per_row * strides[i], Axis.SOURCE), widths[i], kernel=(kernels[i],),
            bias=c.flag("conv_bias"), channels_in=fan_in, per_row=per_row,
        )  # fmt: skip
        if kind == "layer" or i == 0:
            x = t.norm("layer_norm", x, style="layer", width=widths[i])
        return t.elementwise(c.text("feat_extract_activation", "gelu"), x)

    for i in range(len(widths)):
        m.single("audio", partial(step, i=i), name=f"feature_extractor.conv_layers.{i}")
    return widths[-1]


def positions(t: Trace, c: Config) -> None:
    """Relative positions by one wide convolution, its weights kept as lengths and directions."""
    reach, groups = c.size("num_conv_pos_embeddings"), c.size("num_conv_pos_embedding_groups")
    if c.hidden % groups:
        raise c.wrong("num_conv_pos_embedding_groups", "config_not_divisible", value=groups, of=c.hidden)
    with t.scope("pos_conv_embed"):
        shape = (c.hidden, c.hidden // groups, reach)
        with t.scope("conv"):
            t.hold(t.parameter("bias", (c.hidden,), Role.BIAS))
            if c.flag("conv_pos_batch_norm"):
                t.hold(t.parameter("weight", shape, Role.CONVOLUTION))
            else:
                held(t, "parametrizations.weight.original0", 1, 1, reach)
                held(t, "parametrizations.weight.original1", *shape)
        if c.flag("conv_pos_batch_norm"):
            batch_norm(t, "batch_norm", t.input(c.hidden, Axis.SOURCE))


def adapted(t: Trace, x: Tensor, narrow: int | None) -> Tensor:
    """A narrow block at a layer's end, for one language of many."""
    if narrow is None:
        return x
    with t.scope("adapter_layer"):
        h = t.norm("norm", x, style="layer")
        h = t.elementwise("relu", t.linear("linear_1", h, narrow, bias=True))
        return t.add(x, t.linear("linear_2", h, x.width, bias=True))


def coarser(c: Config, m: ModelBuilder) -> None:
    """Convolutions behind the layers that make the frames fewer."""
    out, kernel = output_width(c), c.size("adapter_kernel_size", 3)

    def enter(t: Trace) -> Tensor:
        x = t.linear("proj", t.input(c.hidden, Axis.SOURCE), out, bias=True)
        return t.norm("proj_layer_norm", x, style="layer")

    def step(t: Trace, x: Tensor) -> Tensor:
        return t.elementwise("glu", t.convolution("conv", x, 2 * out, kernel=(kernel,)), width=out)

    with m.prefix("adapter"):
        if out != c.hidden:
            m.single("audio", enter)
        m.stack(c.count("num_adapter_layers", 3), step, width=out, axis=Axis.SOURCE)


def output_width(c: Config) -> int:
    """Elements of a row that leaves the encoder."""
    return c.maybe("output_hidden_size") or c.hidden


@tower("wav2vec2", "hubert")
def wav2vec2(c: Config, m: ModelBuilder) -> None:
    """Convolutions over samples, BERT's layers over frames (norms before each half where `stable`)."""
    if c.hidden % c.heads:
        raise c.wrong("num_attention_heads", "config_not_divisible", value=c.heads, of=c.hidden)
    stable, act = c.flag("do_stable_layer_norm"), c.text("hidden_act", "gelu")
    shape = both_ways(c.heads, c.hidden, dropout=c.number("attention_dropout", 0.0))
    attention = partial(grouped, shape=shape, module="attention", names=NAMES, bias=True)
    mlp = partial(
        plain,
        inner=c.inner,
        module="feed_forward",
        names=("intermediate_dense", "output_dense"),
        activation=act,
    )
    narrow = c.maybe("adapter_attn_dim") if stable else None

    def layer(t: Trace, x: Tensor) -> Tensor:
        place = pre_norm if stable else outer_norm
        return adapted(t, place(t, x, attention, mlp, names=NORMS, style="layer"), narrow)

    def project(t: Trace) -> Tensor:
        x = t.input(width, Axis.SOURCE)
        if c.flag("feat_proj_layer_norm", True):
            x = t.norm("layer_norm", x, style="layer")
        return t.linear("projection", x, c.hidden, bias=True)

    if c.number("mask_time_prob", 0.05) > 0 or c.number("mask_feature_prob", 0.0) > 0:
        m.single("audio", lambda t: held(t, "masked_spec_embed", c.hidden))
    width = samples(c, m)
    m.single("audio", project, name="feature_projection")
    with m.prefix("encoder"):
        m.single("audio", lambda t: positions(t, c))
        m.single("audio", lambda t: t.norm("layer_norm", t.input(c.hidden, Axis.SOURCE), style="layer"))
        m.stack(c.layers, layer, width=c.hidden, axis=Axis.SOURCE)
    if c.flag("add_adapter"):
        coarser(c, m)


@family("speech-encoder-decoder")
def speech_encoder_decoder(c: Config, m: ModelBuilder) -> None:
    """An encoder of sound and a text decoder that attends to its frames."""
    sub = c.sub("encoder")
    write = TOWERS.get(sub.model_type) if sub.model_type in ("wav2vec2", "hubert") else None
    if write is None:
        raise sub.uncovered("model_type", "its encoder of sound is not described here")
    with m.component("encoder"), m.prefix("encoder"):
        write(sub, m)
    write_decoder(c, m, output_width(sub), sub.hidden)
