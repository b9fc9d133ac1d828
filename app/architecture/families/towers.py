"""Vision towers in CLIP's line: CLIP, SigLIP 1 and 2, Idefics, Pixtral, InternViT, Janus, SAM."""

from functools import partial

from ..blocks.vision import (
    both_ways,
    held,
    patches,
    pooling_head,
    positions,
    vision_layer,
)
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .composite import picture, tower
from .llama import activation


def places(c: Config) -> int:
    """Patches of a picture of the configured size."""
    (height, width), (rows, columns) = c.pair("image_size"), c.pair("patch_size")
    return (height // rows) * (width // columns)


def plain_layers(c: Config, m: ModelBuilder, name: str = "encoder.layers.{}", **options: object) -> None:
    """Layers with LayerNorm and biases by the usual field names."""
    if c.hidden % c.heads:
        raise c.wrong("num_attention_heads", "config_not_divisible", value=c.heads, of=c.hidden)
    heads = both_ways(c.heads, c.hidden, dropout=c.number("attention_dropout", 0.0))
    settings: dict[str, object] = {"heads": heads, "act": activation(c)} | options
    if "inner" not in settings:
        settings["inner"] = c.inner
    m.stack(c.layers, partial(vision_layer, **settings), width=c.hidden, name=name, axis=Axis.PATCHES)  # type: ignore[arg-type]


def norm(m: ModelBuilder, name: str, width: int, style: str = "layer") -> None:
    """A norm over patches."""
    m.single("vision", lambda t: t.norm(name, t.input(width, Axis.PATCHES), style=style))


@tower("clip_vision_model")
def clip(c: Config, m: ModelBuilder) -> None:
    """CLIP (arXiv 2103.00020): a class token before the patches, a norm before and after the layers."""
    count = places(c) + 1

    def embed(t: Trace) -> Tensor:
        held(t, "class_embedding", c.hidden)
        x = patches(t, "patch_embedding", c.size("num_channels"), c.hidden, c.pair("patch_size"), bias=False)
        return positions(t, x, "position_embedding", count)

    m.single("vision", embed, name="embeddings")
    norm(m, "pre_layrnorm", c.hidden)
    plain_layers(c, m)
    norm(m, "post_layernorm", c.hidden)
    picture(m, size=c.pair("image_size"), patches=count, tokens=count - 1)


def siglip_body(c: Config, m: ModelBuilder, rows: int) -> None:
    """SigLIP below its pooling head: no class token, biased patches."""

    def embed(t: Trace) -> Tensor:
        x = patches(t, "patch_embedding", c.size("num_channels"), c.hidden, c.pair("patch_size"))
        return positions(t, x, "position_embedding", rows)

    m.single("vision", embed, name="embeddings")
    plain_layers(c, m)
    norm(m, "post_layernorm", c.hidden)
    picture(m, size=c.pair("image_size"), patches=rows, tokens=rows)


def pool(c: Config, m: ModelBuilder) -> None:
    """SigLIP's head, where `vision_use_head`."""
    if c.flag("vision_use_head", True):
        m.single(
            "vision",
            lambda t: pooling_head(t, t.input(c.hidden, Axis.PATCHES), c.heads, c.inner, activation(c)),
            name="head",
        )


@tower("siglip_vision_model")
def siglip(c: Config, m: ModelBuilder) -> None:
    """SigLIP (arXiv 2303.15343)."""
    siglip_body(c, m, places(c))
    pool(c, m)


@tower("siglip2_vision_model")
def siglip2(c: Config, m: ModelBuilder) -> None:
    """SigLIP 2 with pictures of any shape (arXiv 2502.14786): patches as vectors of pixels."""
    size, count = c.size("patch_size"), c.size("num_patches")

    def embed(t: Trace) -> Tensor:
        pixels = t.input(c.size("num_channels") * size * size, Axis.PATCHES)
        x = t.linear("patch_embedding", pixels, c.hidden, bias=True)
        return positions(t, x, "position_embedding", count)

    m.single("vision", embed, name="embeddings")
    plain_layers(c, m)
    norm(m, "post_layernorm", c.hidden)
    pool(c, m)
    picture(m, patch=size, merge=1)


@tower("idefics2_vision", "idefics3_vision", "smolvlm_vision")
def idefics(c: Config, m: ModelBuilder) -> None:
    """Idefics 2 and 3's SigLIP without a head."""
    side = c.size("image_size") // c.size("patch_size")
    siglip_body(c, m, side * side)


@tower("pixtral")
def pixtral(c: Config, m: ModelBuilder) -> None:
    """Pixtral (arXiv 2410.07073): rotary positions in two dimensions, RMS norms, a gated block."""
    m.single(
        "vision",
        lambda t: patches(
            t, "patch_conv", c.size("num_channels"), c.hidden, c.pair("patch_size"), bias=False
        ),
    )
    norm(m, "ln_pre", c.hidden, "rms")
    plain_layers(
        c,
        m,
        "transformer.layers.{}",
        heads=both_ways(c.heads, c.hidden, turned=True),
        module="attention",
        names=("q_proj", "k_proj", "v_proj", "o_proj"),
        bias=False,
        norms=("attention_norm", "ffn_norm"),
        style="rms",
        mlp="feed_forward",
        mlp_names=("gate_proj", "up_proj", "down_proj"),
        mlp_bias=False,
    )
    picture(m, patch=c.size("patch_size"), merge=1)


@tower("internvl_vision", "qianfan_ocr_vision")
def internvl(c: Config, m: ModelBuilder) -> None:
    """InternViT (arXiv 2312.14238): BEiT's layers with a learned scale of both branches."""
    count = places(c) + 1
    style = "rms" if c.text("norm_type") == "rms_norm" else "layer"

    def embed(t: Trace) -> Tensor:
        held(t, "cls_token", 1, 1, c.hidden)
        if c.flag("use_mask_token"):
            held(t, "mask_token", 1, 1, c.hidden)
        if c.flag("use_absolute_position_embeddings", True):
            held(t, "position_embeddings", 1, count, c.hidden)
        return patches(
            t, "patch_embeddings.projection", c.size("num_channels"), c.hidden, c.pair("patch_size")
        )

    m.single("vision", embed, name="embeddings")
    layers = "encoder.layer.{}" if c.model_type == "internvl_vision" else "layers.{}"
    plain_layers(
        c,
        m,
        layers,
        module="attention",
        names=("q_proj", "k_proj", "v_proj", "projection_layer"),
        bias=c.flag("attention_bias"),
        out_bias=True,
        qk_norm="full" if c.flag("use_qk_norm") else None,
        norms=("layernorm_before", "layernorm_after"),
        style=style,
        scales=("lambda_1", "lambda_2"),
    )
    if not c.flag("use_mean_pooling", True):
        norm(m, "layernorm", c.hidden)
    picture(m, size=c.pair("image_size"), patches=count, tokens=(count - 1) // 4)


@tower("janus_vision_model")
def janus(c: Config, m: ModelBuilder) -> None:
    """Janus's SigLIP (arXiv 2410.13848)."""

    def embed(t: Trace) -> Tensor:
        x = patches(t, "patch_embedding", c.size("num_channels"), c.hidden, c.pair("patch_size"))
        return positions(t, x, "position_embedding", places(c))

    m.single("vision", embed, name="embeddings")
    plain_layers(
        c,
        m,
        names=("q_proj", "k_proj", "v_proj", "projection_layer"),
        bias=c.flag("attention_bias", True),
        out_bias=True,
        qk_norm="full" if c.flag("use_qk_norm") else None,
        qk_style="layer",
        inner=int(c.hidden * c.number("mlp_ratio")),
    )
    norm(m, "post_layernorm", c.hidden)
    picture(m, size=c.pair("image_size"), patches=places(c), tokens=places(c))


def sam_layers(c: Config, m: ModelBuilder, inner: int, *, head: bool = True) -> None:
    """SAM's encoder (arXiv 2304.02643): windows with relative positions, four global layers, a neck."""
    rows, columns = (
        side // size for side, size in zip(c.pair("image_size"), c.pair("patch_size"), strict=True)
    )
    everywhere = c.items("global_attn_indexes") or []
    window = c.size("window_size", least=0)

    def embed(t: Trace) -> Tensor:
        if c.flag("use_abs_pos", True):
            held(t, "pos_embed", 1, rows, columns, c.hidden)
        return patches(t, "patch_embed.projection", c.size("num_channels"), c.hidden, c.pair("patch_size"))

    def layer(t: Trace, x: Tensor, is_global: bool) -> Tensor:
        sides = (rows, columns) if is_global or not window else (window, window)
        if c.flag("use_rel_pos", True):
            for axis, side in zip("hw", sides, strict=True):
                held(t, f"attn.rel_pos_{axis}", 2 * side - 1, c.hidden // c.heads)
        heads = both_ways(c.heads, c.hidden, window=None if is_global else window * window or None)
        return vision_layer(
            t,
            x,
            heads=heads,
            inner=inner,
            act=activation(c),
            module="attn",
            qkv=("qkv", "proj"),
            bias=c.flag("qkv_bias", True),
            out_bias=True,
            mlp_names=("lin1", "lin2"),
        )

    m.single("vision", embed)
    m.stack(c.layers, layer, width=c.hidden, axis=Axis.PATCHES, kinds=lambda i: i in everywhere)
    if head:
        m.single(
            "vision",
            lambda t: neck(t, t.input(c.hidden, Axis.PATCHES), c.size("output_channels")),
            name="neck",
        )
    picture(m, size=(rows, columns), patches=rows * columns, tokens=rows * columns // 16)


def neck(t: Trace, x: Tensor, out: int) -> Tensor:
    """Two convolutions with norms over channels."""
    x = t.norm("layer_norm1", t.convolution("conv1", x, out, kernel=(1, 1), bias=False), style="layer")
    return t.norm("layer_norm2", t.convolution("conv2", x, out, kernel=(3, 3), bias=False), style="layer")


@tower("sam_vision_model")
def sam(c: Config, m: ModelBuilder) -> None:
    """SAM as a part of other models."""
    with m.prefix("vision_encoder"):
        sam_layers(c, m, c.size("mlp_dim", int(c.hidden * c.number("mlp_ratio", 4.0))))


@tower("got_ocr2_vision")
def got_ocr2(c: Config, m: ModelBuilder) -> None:
    """GOT-OCR 2's SAM (arXiv 2409.01704)."""
    sam_layers(c, m, c.size("mlp_dim"))
