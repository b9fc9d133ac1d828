"""Pictures as words: Chameleon and Emu 3 read and draw them in codes of a quantised autoencoder."""

from functools import partial
from math import log2

from ..blocks.attention import Heads, attend, turn
from ..blocks.feed_forward import gated
from ..blocks.residual import post_norm, pre_norm
from ..blocks.vision import held
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Role, Tensor
from ..trace import Trace, column, row
from .composite import language, logits, see, tower
from .florence import stages
from .janus import attention_block, convolve, group_norm, residual_block
from .llama import activation, llama, stack
from .registry import decoder, family, of_class

MOST_BLOCKS = 2**6


def block_count(c: Config) -> int:
    """Residual blocks at each level."""
    count = c.count("num_res_blocks")
    if count > MOST_BLOCKS:
        raise c.wrong("num_res_blocks", "config_out_of_range", value=count, least=1, most=MOST_BLOCKS)
    return count


def chameleon_encoder(t: Trace, c: Config, factors: list[int]) -> None:
    """Down: attention at the resolutions that are listed, and in the middle."""
    base, attends = c.size("base_channels"), c.text("attn_type", "none") == "vanilla"
    listed, resolution, width = (
        c.items("attn_resolutions") or [],
        c.size("resolution"),
        c.size("base_channels"),
    )
    convolve(t, "conv_in", c.size("in_channels"), base)
    for level, factor in enumerate(factors):
        for i in range(block_count(c)):
            residual_block(t, f"down.{level}.block.{i}", width, base * factor)
            width = base * factor
            if attends and resolution in listed:
                attention_block(t, f"down.{level}.attn.{i}", width)
        if level != len(factors) - 1:
            convolve(t, f"down.{level}.downsample.conv", width, width)
            resolution //= 2
    residual_block(t, "mid.block_1", width, width)
    if attends:
        attention_block(t, "mid.attn_1", width)
    residual_block(t, "mid.block_2", width, width)
    group_norm(t, "norm_out", width)
    convolve(t, "conv_out", width, c.size("latent_channels") * (2 if c.flag("double_latent") else 1))


@tower("chameleon_vqgan")
def chameleon_vqgan(c: Config, m: ModelBuilder) -> None:
    """The half of the autoencoder that reads, with its codebook."""
    latent, narrow = c.size("latent_channels"), c.size("embed_dim")

    def codes(t: Trace) -> None:
        held(t, "quantize.embedding.weight", c.size("num_embeddings"), narrow)
        convolve(t, "quant_conv", latent, narrow, 1)
        convolve(t, "post_quant_conv", narrow, latent, 1)

    factors = stages(c, "channel_multiplier")
    m.single("vision", lambda t: chameleon_encoder(t, c, factors), name="encoder")
    m.single("vision", codes)


def normed_heads(t: Trace, x: Tensor, shape: Heads, *, bias: bool) -> Tensor:
    """Every head of query and key normalised with a weight and a bias of its own."""
    with t.scope("self_attn"):
        kv_split = column(shape.kv_heads, replicate=True)
        q = t.linear("q_proj", x, shape.query_width, bias=bias, split=column(shape.heads))
        k = t.linear("k_proj", x, shape.key_width, bias=bias, split=kv_split)
        v = t.linear("v_proj", x, shape.value_width, bias=bias, split=kv_split)
        dim = shape.head_dim
        q = t.norm("q_norm", q, style="layer", width=dim, shape=(shape.heads, dim))
        k = t.norm("k_norm", k, style="layer", width=dim, shape=(shape.kv_heads, dim))
        q, k = turn(t, q, k, shape)
        return t.linear("o_proj", attend(t, q, k, v, shape), x.width, bias=bias, split=row(shape.heads))


@family("chameleon")
def chameleon(c: Config, m: ModelBuilder) -> None:
    """Chameleon (arXiv 2405.09818); the larger one's norms stand behind each half (`swin_norm`)."""
    mlp = partial(gated, inner=c.inner, activation=activation(c), bias=c.flag("mlp_bias"))
    attention = partial(normed_heads, bias=c.flag("attention_bias"))
    names = ("input_layernorm", "post_attention_layernorm")
    if c.hidden % c.heads:
        raise c.wrong("num_attention_heads", "config_not_divisible", value=c.heads, of=c.hidden)
    with m.prefix("model"):
        stack(c, m, attention, mlp, wrap=post_norm if c.flag("swin_norm") else pre_norm, names=names)
    see(c, m, "model.vqmodel", "vq_config")
    m.notes["kind"] = "image_text"
    logits(c, m, c)


def cube(t: Trace, name: str, fan_in: int, out: int, kernel: tuple[int, int, int]) -> None:
    """A convolution over frames and pixels, in a module of its own."""
    t.convolution(f"{name}.conv", t.input(fan_in, Axis.PATCHES), out, kernel=kernel)


def batch_norm(t: Trace, name: str, width: int) -> None:
    """A norm by statistics of the training set."""
    with t.scope(name):
        t.hold(
            *(t.parameter(part, (width,), Role.NORM) for part in ("weight", "bias")),
            *(t.parameter(f"running_{part}", (width,), buffer=True) for part in ("mean", "var")),
            t.parameter("num_batches_tracked", (), buffer=True, dtype="int64"),
        )


def temporal_block(t: Trace, name: str, width: int) -> None:
    """Two convolutions over frames."""
    with t.scope(name):
        for i in (1, 2):
            batch_norm(t, f"norm{i}", width)
            cube(t, f"conv{i}", width, width, (3, 3, 3))


def level_norm(t: Trace, name: str, width: int, codes: int) -> None:
    """A group norm; where it is led by `codes`, they make its scale and shift."""
    if not codes:
        group_norm(t, name, width)
        return
    with t.scope(name):
        group_norm(t, "norm_layer", width)
        convolve(t, "conv_y", codes, width, 1)
        convolve(t, "conv_b", codes, width, 1)


def emu_block(t: Trace, name: str, fan_in: int, out: int, codes: int) -> None:
    """A residual block whose norms may be led by codes."""
    with t.scope(name):
        level_norm(t, "norm1", fan_in, codes)
        convolve(t, "conv1", fan_in, out)
        level_norm(t, "norm2", out, codes)
        convolve(t, "conv2", out, out)
        if fan_in != out:
            convolve(t, "nin_shortcut", fan_in, out, 1)


def emu_attention(t: Trace, name: str, c: Config) -> None:
    """Attention over all pixels, with linear projections."""
    shape = Heads(c.heads, c.heads, c.hidden // c.heads, rotary_dim=0, causal=False, cached=False)
    with t.scope(name):
        x = t.input(c.hidden, Axis.PATCHES)
        q, k, v = (t.linear(f"{part}_proj", x, c.hidden, bias=True) for part in "qkv")
        t.linear("out_proj", attend(t, q, k, v, shape), c.hidden, bias=True)


def emu_middle(t: Trace, c: Config, width: int, codes: int) -> None:
    """Block, attention, block."""
    with t.scope("middle_block"):
        emu_block(t, "block_1", width, width, codes)
        emu_attention(t, "attn_1", c)
        level_norm(t, "attn_norm", width, codes)
        emu_block(t, "block_2", width, width, codes)


def emu_level(t: Trace, c: Config, level: int, fan_in: int, out: int, blocks: int, codes: int) -> None:
    """The blocks of one level, with attention where it is listed."""
    for i in range(blocks):
        emu_block(t, f"block.{i}", out if i else fan_in, out, codes)
        if level in (c.items("attn_resolutions") or []):
            emu_attention(t, f"attn.{i}", c)
            level_norm(t, f"attn_norms.{i}", out, codes)


def emu_encoder(t: Trace, c: Config, factors: list[int]) -> None:
    """Down in space, then in time."""
    base, width = c.size("base_channels"), c.size("base_channels")
    convolve(t, "conv_in", c.size("in_channels"), base)
    for level, factor in enumerate(factors):
        with t.scope(f"down_block.down.{level}"):
            emu_level(t, c, level, width, base * factor, block_count(c), 0)
            width = base * factor
            if level != len(factors) - 1:
                convolve(t, "downsample.conv", width, width)
    emu_middle(t, c, width, 0)
    group_norm(t, "norm_out", width)
    out = c.size("latent_channels") * (2 if c.flag("double_latent") else 1)
    convolve(t, "conv_out", width, out)
    for i in range(int(log2(c.size("temporal_downsample_factor")))):
        cube(t, f"time_conv.{i}.conv", out, out, (4, 3, 3))
    for i in range(block_count(c)):
        temporal_block(t, f"time_res_stack.{i}", out)


def emu_decoder(t: Trace, c: Config, factors: list[int]) -> None:
    """Up in time, then in space, led by the codes."""
    base, latent, codes = (c.size(name) for name in ("base_channels", "latent_channels", "embed_dim"))
    width = base * factors[-1]
    for i in range(block_count(c)):
        temporal_block(t, f"time_res_stack.{i}", latent)
    for i in range(int(log2(c.size("temporal_downsample_factor")))):
        cube(t, f"time_conv.{i}.conv", latent, latent, (3, 3, 3))
    convolve(t, "conv_in", latent, width)
    emu_middle(t, c, width, codes)
    for level in reversed(range(len(factors))):
        with t.scope(f"up_block.up.{level}"):
            emu_level(t, c, level, width, base * factors[level], block_count(c) + 1, codes)
            width = base * factors[level]
            if level:
                convolve(t, "upsample.conv", width, width)
    level_norm(t, "norm_out", width, codes)
    convolve(t, "conv_out", width, c.size("out_channels"))


@tower("emu3_vqgan")
def emu3_vqgan(c: Config, m: ModelBuilder) -> None:
    """The autoencoder over films (arXiv 2409.18869) with its codebook."""
    latent, narrow, factors = c.size("latent_channels"), c.size("embed_dim"), stages(c, "channel_multiplier")
    if c.hidden % c.heads:
        raise c.wrong("num_attention_heads", "config_not_divisible", value=c.heads, of=c.hidden)

    def codes(t: Trace) -> None:
        held(t, "quantize.embedding.weight", c.size("codebook_size"), narrow)
        cube(t, "quant_conv", latent, narrow, (3, 1, 1))
        cube(t, "post_quant_conv", narrow, latent, (3, 1, 1))

    m.single("vision", lambda t: emu_encoder(t, c, factors), name="encoder")
    m.single("vision", lambda t: emu_decoder(t, c, factors), name="decoder")
    m.single("vision", codes)


decoder("emu3_text_model")(llama)


@family("emu3")
def emu3(c: Config, m: ModelBuilder) -> None:
    """Emu 3: Llama's layers over words and codes."""
    text = language(c, m, "model.text_model")
    see(c, m, "model.vqmodel", "vq_config")
    logits(c, m, text)


@of_class("Emu3ForCausalLM")
def emu3_text(c: Config, m: ModelBuilder) -> None:
    """Emu 3 without its autoencoder."""
    text = language(c, m, "model", flat=True)
    m.notes["kind"] = "decoder"
    logits(c, m, text, tied=text.tied)
