"""Mimi, a codec of sound (arXiv 2410.00037), and Kyutai's transcriber, which reads its codes."""

from functools import partial
from math import ceil, prod

from ..blocks.attention import Heads, grouped
from ..blocks.feed_forward import fused_gated, plain
from ..blocks.residual import pre_norm
from ..blocks.vision import held, scaled
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Role, Tensor
from ..trace import Trace
from .composite import logits, see, tower
from .florence import stages
from .llama import activation
from .registry import family

MOST_BOOKS = 2**8
FRAME_RATE = 12.5  # codes a second
RATIOS = [8, 6, 5, 4]  # where the file states none


def conv(t: Trace, name: str, fan_in: int, out: int, kernel: int, *, bias: bool = True) -> None:
    """A convolution over samples or frames."""
    t.convolution(f"{name}.conv", t.input(fan_in, Axis.SOURCE), out, kernel=(kernel,), bias=bias)


def spread(t: Trace, name: str, fan_in: int, out: int, kernel: int, *, bias: bool = True) -> None:
    """A transposed convolution; its weight is [in, out, kernel]."""
    held(t, f"{name}.conv.weight", fan_in, out, kernel)
    if bias:
        t.hold(t.parameter(f"{name}.conv.bias", (out,), Role.BIAS))


def residual(t: Trace, name: str, width: int, c: Config) -> None:
    """Two convolutions, the first of them narrower."""
    narrow = width // c.size("compress")
    conv(t, f"{name}.block.1", width, narrow, c.size("residual_kernel_size"))
    conv(t, f"{name}.block.3", narrow, width, 1)
    if c.flag("use_conv_shortcut"):
        conv(t, f"{name}.shortcut", width, width, 1)


def down(t: Trace, c: Config, ratios: list[int], blocks: int) -> None:
    """From the wave to frames: twice as wide at each step."""
    width, place = c.size("num_filters"), 1
    conv(t, "layers.0", c.size("audio_channels"), width, c.size("kernel_size"))
    for ratio in reversed(ratios):
        for i in range(blocks):
            residual(t, f"layers.{place + i}", width, c)
        place += blocks + 1
        conv(t, f"layers.{place}", width, 2 * width, 2 * ratio)
        width, place = 2 * width, place + 1
    conv(t, f"layers.{place + 1}", width, c.hidden, c.size("last_kernel_size"))


def up(t: Trace, c: Config, ratios: list[int], blocks: int) -> None:
    """From frames to the wave."""
    width, place = c.size("num_filters") * 2 ** len(ratios), 0
    conv(t, "layers.0", c.hidden, width, c.size("kernel_size"))
    for ratio in ratios:
        place += 2
        spread(t, f"layers.{place}", width, width // 2, 2 * ratio)
        width //= 2
        for i in range(blocks):
            residual(t, f"layers.{place + 1 + i}", width, c)
        place += blocks
    conv(t, f"layers.{place + 2}", width, c.size("audio_channels"), c.size("last_kernel_size"))


def transformer(c: Config, m: ModelBuilder, name: str) -> None:
    """Causal layers with layer scale over frames."""
    shape = Heads.of(c, cached=False, window=c.maybe("sliding_window"))
    mlp = partial(plain, inner=c.inner, names=("fc1", "fc2"), activation=activation(c), bias=False)

    def mix(t: Trace, x: Tensor) -> Tensor:
        out = grouped(t, x, shape, bias=c.flag("attention_bias"))
        return scaled(t, out, "self_attn_layer_scale.scale")

    def layer(t: Trace, x: Tensor) -> Tensor:
        return pre_norm(t, x, mix, lambda t, x: scaled(t, mlp(t, x), "mlp_layer_scale.scale"), style="layer")

    m.stack(c.layers, layer, width=c.hidden, name=f"{name}.layers.{{}}", axis=Axis.SOURCE)


def books(t: Trace, c: Config, count: int) -> None:
    """Code books one after the other, each for what the one before left."""
    narrow, rows = c.size("vector_quantization_hidden_dimension"), c.size("codebook_size")
    if narrow != c.hidden:
        t.convolution("input_proj", t.input(c.hidden, Axis.SOURCE), narrow, kernel=(1,), bias=False)
        t.convolution("output_proj", t.input(narrow, Axis.SOURCE), c.hidden, kernel=(1,), bias=False)
    for i in range(count):
        with t.scope(f"layers.{i}.codebook"):
            t.hold(
                t.parameter("initialized", (1,), buffer=True),
                t.parameter("cluster_usage", (rows,), buffer=True),
                t.parameter("embed_sum", (rows, c.size("codebook_dim")), buffer=True),
            )


@tower("mimi")
def mimi(c: Config, m: ModelBuilder) -> None:
    """Both halves of the codec and its code books."""
    ratios = stages(c, "upsampling_ratios") if c.get("upsampling_ratios") is not None else RATIOS
    blocks, all_books = c.count("num_residual_layers"), c.count("num_quantizers")
    for name, value in (("num_residual_layers", blocks), ("num_quantizers", all_books)):
        if value > MOST_BOOKS:
            raise c.wrong(name, "config_out_of_range", value=value, least=1, most=MOST_BOOKS)
    semantic = c.count("num_semantic_quantizers")
    coarser = int(ceil(c.size("sampling_rate") / prod(ratios)) / c.number("frame_rate", FRAME_RATE))
    groups = c.size("upsample_groups")
    m.single("audio", lambda t: down(t, c, ratios, blocks), name="encoder.encoder_seanet")
    transformer(c, m, "encoder.encoder_transformer")
    if coarser > 1:
        kernel = 2 * coarser
        m.single("audio", lambda t: conv(t, "encoder.downsample", c.hidden, c.hidden, kernel, bias=False))
        m.single(
            "audio", lambda t: spread(t, "decoder.upsample", c.hidden, c.hidden // groups, kernel, bias=False)
        )
    transformer(c, m, "decoder.decoder_transformer")
    m.single("audio", lambda t: up(t, c, ratios, blocks), name="decoder.decoder_seanet")
    for name, count in (("semantic", semantic), ("acoustic", max(0, all_books - semantic))):
        write = partial(books, c=c, count=count)
        m.single("audio", write, name=f"quantizer.{name}_residual_vector_quantizer")


@family("kyutai_speech_to_text")
def kyutai(c: Config, m: ModelBuilder) -> None:
    """Kyutai's transcriber: Moshi's layers over the sum of a word and all code books at every step."""
    names = ("q_proj.linear", "k_proj.linear", "v_proj.linear", "o_proj.linear")
    attention = partial(grouped, shape=Heads.of(c, window=c.maybe("sliding_window")), names=names)
    mlp = partial(fused_gated, inner=c.size("ffn_dim") // 2, names=("fc1", "fc2"), activation=activation(c))
    rows = c.vocab + c.size("num_codebooks") * c.size("codebook_vocab_size") + 1
    with m.prefix("model"):
        m.embed("embed_tokens.embed_tokens", rows, c.hidden)
        m.stack(c.layers, lambda t, x: pre_norm(t, x, attention, mlp, style="rms_wide"), width=c.hidden)
        m.final_norm("norm", c.hidden, style="rms_wide")
    m.notes["kind"] = "image_text"
    m.vocab_size = c.vocab
    logits(c, m, c)
    see(c, m, "codec_model", "codec_config", component="audio")
