"""Vision towers in Qwen's line: patches in space and time, rotary positions, patches merged in squares."""

from ..blocks.vision import both_ways, merged, patches, positions, two_layers, vision_layer
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .composite import picture, tower
from .llama import activation

GATED = ("gate_proj", "up_proj", "down_proj")


def cubes(c: Config, t: Trace, name: str, width: int, *, bias: bool) -> Tensor:
    """Patches over `temporal_patch_size` frames."""
    kernel = (c.size("temporal_patch_size"), *c.pair("patch_size"))
    return patches(t, name, c.size("in_channels", 3), width, kernel, bias=bias)


def square(c: Config) -> int:
    """Patches that make one token."""
    return c.size("spatial_merge_size") ** 2


def note(c: Config, m: ModelBuilder) -> None:
    """Pictures of any size."""
    picture(m, patch=c.size("patch_size"), merge=square(c), frames=c.size("temporal_patch_size"))


def divided(c: Config, width: int) -> int:
    """The heads, which must divide the width."""
    if width % c.heads:
        raise c.wrong("num_heads", "config_not_divisible", value=c.heads, of=width)
    return c.heads


@tower("qwen2_vl_vision")
def qwen2_vl(c: Config, m: ModelBuilder) -> None:
    """Qwen2-VL (arXiv 2409.12191)."""
    width = c.size("embed_dim")
    heads = both_ways(divided(c, width), width, turned=True)
    inner = int(width * c.number("mlp_ratio"))

    def layer(t: Trace, x: Tensor) -> Tensor:
        return vision_layer(
            t,
            x,
            heads=heads,
            inner=inner,
            act=activation(c),
            module="attn",
            qkv=("qkv", "proj"),
            norms=("norm1", "norm2"),
        )

    def merger(t: Trace) -> Tensor:
        x = merged(t, t.norm("ln_q", t.input(width, Axis.PATCHES), style="layer"), square(c))
        return two_layers(t, x, ("mlp.0", "mlp.2"), x.width, c.hidden, "gelu")

    m.single("vision", lambda t: cubes(c, t, "patch_embed.proj", width, bias=False))
    m.stack(c.count("depth"), layer, width=width, name="blocks.{}", axis=Axis.PATCHES)
    m.single("vision", merger, name="merger")
    note(c, m)


@tower("qwen2_5_vl_vision", "exaone4_5_vision", "qwen2_5_omni_vision_encoder")
def qwen2_5_vl(c: Config, m: ModelBuilder) -> None:
    """Qwen2.5-VL (arXiv 2502.13923): RMS norms, gated blocks, windows in all but a few layers."""
    everywhere = c.items("fullatt_block_indexes") or []
    patch = c.size("patch_size")
    reach = (c.size("window_size") // patch) ** 2

    def layer(t: Trace, x: Tensor, is_full: bool) -> Tensor:
        heads = both_ways(
            divided(c, c.hidden),
            c.hidden,
            turned=True,
            window=None if is_full else reach,
            kv_heads=c.maybe("num_key_value_heads"),
        )
        qkv = None if c.model_type == "qwen2_5_omni_vision_encoder" else ("qkv", "proj")
        return vision_layer(
            t,
            x,
            heads=heads,
            inner=c.inner,
            act=activation(c),
            module="attn",
            qkv=qkv,
            names=("q", "k", "v", "proj"),
            norms=("norm1", "norm2"),
            style="rms",
            mlp_names=GATED,
        )

    def merger(t: Trace) -> Tensor:
        x = merged(t, t.norm("ln_q", t.input(c.hidden, Axis.PATCHES)), square(c))
        return two_layers(t, x, ("mlp.0", "mlp.2"), x.width, c.size("out_hidden_size"), "gelu")

    m.single("vision", lambda t: cubes(c, t, "patch_embed.proj", c.hidden, bias=False))
    m.stack(
        c.count("depth"),
        layer,
        width=c.hidden,
        name="blocks.{}",
        axis=Axis.PATCHES,
        kinds=lambda i: i in everywhere,
    )
    m.single("vision", merger, name="merger")
    note(c, m)


def merger3(t: Trace, c: Config, *, norm_last: bool) -> Tensor:
    """Norm before (or after) four patches become one, then two linear layers."""
    norm, names = ("ln_q", ("mlp.0", "mlp.2")) if hears(c) else ("norm", ("linear_fc1", "linear_fc2"))
    x = t.input(c.hidden, Axis.PATCHES)
    if norm_last:
        x = t.norm(norm, merged(t, x, square(c)), style="layer")
    else:
        x = merged(t, t.norm(norm, x, style="layer"), square(c))
    return two_layers(t, x, names, x.width, c.size("out_hidden_size"), "gelu")


def hears(c: Config) -> bool:
    """Qwen3-Omni's tower, whose mergers have other names."""
    return c.model_type == "qwen3_omni_moe_vision_encoder"


@tower(
    "qwen3_vl_vision",
    "qwen3_vl_moe_vision",
    "qwen3_5_vision",
    "qwen3_5_moe_vision",
    "qwen4_exp_vision",
    "qwen3_omni_moe_vision_encoder",
)
def qwen3_vl(c: Config, m: ModelBuilder) -> None:
    """Qwen3-VL (arXiv 2511.21631): learned positions beside rotary ones; some layers feed the decoder."""
    heads = both_ways(divided(c, c.hidden), c.hidden, turned=True)
    deep = c.items("deepstack_visual_indexes") or []

    def embed(t: Trace) -> Tensor:
        x = cubes(c, t, "patch_embed.proj", c.hidden, bias=True)
        return positions(t, x, "pos_embed", c.size("num_position_embeddings"))

    def layer(t: Trace, x: Tensor) -> Tensor:
        return vision_layer(
            t,
            x,
            heads=heads,
            inner=c.inner,
            act=activation(c),
            module="attn",
            qkv=("qkv", "proj"),
            norms=("norm1", "norm2"),
            mlp_names=("linear_fc1", "linear_fc2"),
        )

    m.single("vision", embed)
    m.stack(c.count("depth"), layer, width=c.hidden, name="blocks.{}", axis=Axis.PATCHES)
    m.single("vision", lambda t: merger3(t, c, norm_last=False), name="merger")
    if deep:
        m.stack(
            len(deep),
            lambda t, x: merger3(t, c, norm_last=True),
            width=c.hidden,
            name="merger_list.{}" if hears(c) else "deepstack_merger_list.{}",
            axis=Axis.PATCHES,
        )
    note(c, m)


@tower("glm4v_vision", "glm4v_moe_vision")
def glm4v(c: Config, m: ModelBuilder) -> None:
    """GLM-4.1V (arXiv 2507.01006): patches merged by a convolution, then a gated block."""
    side, out = c.size("spatial_merge_size"), c.size("out_hidden_size")
    rows = (c.size("image_size") // c.size("patch_size")) ** 2
    heads = both_ways(divided(c, c.hidden), c.hidden, turned=True)

    def embed(t: Trace) -> Tensor:
        x = t.norm("post_conv_layernorm", cubes(c, t, "patch_embed.proj", c.hidden, bias=True))
        return positions(t, x, "embeddings.position_embedding", rows)

    def layer(t: Trace, x: Tensor) -> Tensor:
        return vision_layer(
            t,
            x,
            heads=heads,
            inner=out,
            act=activation(c),
            module="attn",
            qkv=("qkv", "proj"),
            bias=c.flag("attention_bias"),
            out_bias=False,
            norms=("norm1", "norm2"),
            style="rms",
            mlp_names=GATED,
            mlp_bias=False,
        )

    def downsample(t: Trace) -> Tensor:
        x = t.norm("post_layernorm", t.input(c.hidden, Axis.PATCHES))
        return t.convolution("downsample", x, out, kernel=(side, side), axis=Axis.IMAGE_TOKENS)

    m.single("vision", embed)
    m.stack(c.count("depth"), layer, width=c.hidden, name="blocks.{}", axis=Axis.PATCHES)
    m.single("vision", downsample)
    m.single("vision", lambda t: glm_merger(t, c, out, c.inner), name="merger")
    note(c, m)


@tower("glm_ocr_vision")
def glm_ocr(c: Config, m: ModelBuilder) -> None:
    """GLM-OCR: GLM-4V's without learned positions, with biases and normalised heads."""
    side, out = c.size("spatial_merge_size"), c.size("out_hidden_size")
    heads, bias = both_ways(divided(c, c.hidden), c.hidden, turned=True), c.flag("attention_bias", True)

    def layer(t: Trace, x: Tensor) -> Tensor:
        return vision_layer(
            t,
            x,
            heads=heads,
            inner=c.inner,
            act=activation(c),
            module="attn",
            qkv=("qkv", "proj"),
            bias=bias,
            norms=("norm1", "norm2"),
            style="rms",
            mlp_names=GATED,
            mlp_bias=bias,
            qk_norm="head",
        )

    def downsample(t: Trace) -> Tensor:
        x = t.norm("post_layernorm", t.input(c.hidden, Axis.PATCHES))
        return t.convolution("downsample", x, out, kernel=(side, side), axis=Axis.IMAGE_TOKENS)

    m.single("vision", lambda t: cubes(c, t, "patch_embed.proj", c.hidden, bias=True))
    m.stack(c.count("depth"), layer, width=c.hidden, name="blocks.{}", axis=Axis.PATCHES)
    m.single("vision", downsample)
    m.single("vision", lambda t: glm_merger(t, c, out, out * c.size("in_channels", 3)), name="merger")
    note(c, m)


def glm_merger(t: Trace, c: Config, width: int, inner: int) -> Tensor:
    """A linear layer with its norm, then a gated block without a residual."""
    x = t.linear("proj", t.input(width, Axis.IMAGE_TOKENS), width)
    x = t.elementwise("gelu", t.norm("post_projection_norm", x, style="layer"))
    gate = t.elementwise(activation(c), t.linear("gate_proj", x, inner))
    return t.linear("down_proj", t.multiply(gate, t.linear("up_proj", x, inner)), width)
