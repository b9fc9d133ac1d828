"""Janus (arXiv 2501.17811): a tower to see with, a quantised autoencoder to draw with."""

from ..blocks.vision import held
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .composite import language, logits, see, tower
from .florence import stages
from .registry import family


def convolve(t: Trace, name: str, fan_in: int, out: int, side: int = 3) -> Tensor:
    """A convolution over pixels."""
    return t.convolution(name, t.input(fan_in, Axis.PATCHES), out, kernel=(side, side))


def group_norm(t: Trace, name: str, width: int) -> None:
    """A norm over groups of channels."""
    t.norm(name, t.input(width, Axis.PATCHES), style="group", bias=True)


def residual_block(t: Trace, name: str, fan_in: int, out: int) -> None:
    """Two convolutions with norms before them; a third where the width changes."""
    with t.scope(name):
        group_norm(t, "norm1", fan_in)
        convolve(t, "conv1", fan_in, out)
        group_norm(t, "norm2", out)
        convolve(t, "conv2", out, out)
        if fan_in != out:
            convolve(t, "nin_shortcut", fan_in, out, 1)


def attention_block(t: Trace, name: str, width: int) -> None:
    """Attention of every pixel to every other, projections as convolutions."""
    with t.scope(name):
        group_norm(t, "norm", width)
        for part in ("q", "k", "v", "proj_out"):
            convolve(t, part, width, width, 1)


def middle(t: Trace, width: int) -> None:
    """Block, attention, block."""
    residual_block(t, "mid.block_1", width, width)
    attention_block(t, "mid.attn_1", width)
    residual_block(t, "mid.block_2", width, width)


def encode(t: Trace, c: Config, factors: list[int]) -> None:
    """Down: each level coarser and wider, attention in the last."""
    base, last = c.size("base_channels"), len(factors) - 1
    convolve(t, "conv_in", c.size("in_channels"), base)
    width = base
    for level, factor in enumerate(factors):
        for index in range(c.count("num_res_blocks")):
            residual_block(t, f"down.{level}.block.{index}", width, base * factor)
            width = base * factor
            if level == last:
                attention_block(t, f"down.{level}.attn.{index}", width)
        if level != last:
            convolve(t, f"down.{level}.downsample.conv", width, width)
    middle(t, width)
    group_norm(t, "norm_out", width)
    convolve(t, "conv_out", width, c.size("latent_channels") * (2 if c.flag("double_latent") else 1))


def decode(t: Trace, c: Config, factors: list[int]) -> None:
    """Up again: one block more at each level."""
    base, last = c.size("base_channels"), len(factors) - 1
    width = base * factors[last]
    convolve(t, "conv_in", c.size("latent_channels"), width)
    middle(t, width)
    for place, factor in enumerate(reversed(factors)):
        for index in range(c.count("num_res_blocks") + 1):
            residual_block(t, f"up.{place}.block.{index}", width, base * factor)
            width = base * factor
            if place == 0:
                attention_block(t, f"up.{place}.attn.{index}", width)
        if place != last:
            convolve(t, f"up.{place}.upsample.conv", width, width)
    group_norm(t, "norm_out", width)
    convolve(t, "conv_out", width, c.size("out_channels"))


@tower("janus_vqgan")
def vqgan(c: Config, m: ModelBuilder) -> None:
    """The autoencoder (arXiv 2012.09841) with its codebook."""
    factors = stages(c, "channel_multiplier")
    if c.count("num_res_blocks") > 2**6:
        raise c.wrong(
            "num_res_blocks", "config_out_of_range", value=c.count("num_res_blocks"), least=1, most=2**6
        )
    latent, narrow = c.size("latent_channels"), c.size("embed_dim")

    def codes(t: Trace) -> None:
        held(t, "quantize.embedding.weight", c.size("num_embeddings"), narrow)
        convolve(t, "quant_conv", latent, narrow, 1)
        convolve(t, "post_quant_conv", narrow, latent, 1)

    m.single("vision", lambda t: encode(t, c, factors), name="encoder")
    m.single("vision", codes)
    m.single("vision", lambda t: decode(t, c, factors), name="decoder")


def aligner(m: ModelBuilder, name: str, fan_in: int, width: int, depth: int) -> None:
    """Linear layers of one width."""

    def write(t: Trace) -> Tensor:
        x = t.linear("fc1", t.input(fan_in, Axis.IMAGE_TOKENS), width, bias=True)
        for index in range(depth - 1):
            x = t.linear(f"hidden_layers.{index}", t.elementwise("gelu", x), width, bias=True)
        return x

    m.single("projector", write, name=name)


@family("janus")
def janus(c: Config, m: ModelBuilder) -> None:
    """Janus and Janus-Pro."""
    vision = see(c, m, "model.vision_model")
    aligner(
        m, "model.aligner", vision.hidden, vision.size("projection_dim"), min(vision.count("depth"), 2**8)
    )
    codes = see(c, m, "model.vqmodel", "vq_config", num_patches=1)
    rows, width = codes.size("num_embeddings"), codes.size("image_token_embed_dim")
    m.single(
        "projector",
        lambda t: t.embedding(
            "model.generation_embeddings", rows, codes.size("embed_dim"), axis=Axis.IMAGE_TOKENS
        ),
    )
    aligner(
        m,
        "model.generation_aligner",
        codes.size("embed_dim"),
        codes.size("projection_dim"),
        min(codes.count("num_hidden_layers"), 2**8),
    )

    def draw(t: Trace) -> Tensor:
        x = t.linear("proj_out", t.input(width, Axis.IMAGE_TOKENS), codes.size("projection_dim"), bias=True)
        return t.linear("vision_head", t.elementwise("gelu", x), rows, bias=True)

    m.single("projector", draw, name="model.generation_head")
    text = language(c, m)
    logits(c, m, text)
