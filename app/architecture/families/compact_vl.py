"""Pictures shrunk in ways of their own: MiniCPM-V, Hunyuan-VL, Granite Docling, ERNIE 4.5 VL, Molmo 2."""

from functools import partial
from typing import Any

from ..blocks.attention import Heads, grouped
from ..blocks.cross import cross_attention
from ..blocks.feed_forward import gated, sparse
from ..blocks.residual import post_norm, pre_norm
from ..blocks.vision import both_ways, held, merged, patches, positions, two_layers, vision_layer
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .composite import language, logits, picture, project, see, tower
from .llama import activation
from .mixtures import chosen, kinds
from .registry import body, family, scaled
from .towers import idefics, norm, plain_layers, siglip_body

LINEARS = ("linear_1", "linear_2")
NAMES = ("q_proj", "k_proj", "v_proj", "o_proj")


@tower("minicpmv4_6_vision", "minicpmv4_7_vision", "minicpm_ocr_vision")
def minicpm_vision(c: Config, m: ModelBuilder) -> None:
    """SigLIP whose patches are put together in windows after some of its layers."""
    rows, columns = c.pair("window_kernel_size", 2)
    wide, inner = rows * columns * c.hidden, rows * columns * c.inner
    side = c.size("image_size") // c.size("patch_size")

    def merge(t: Trace) -> Tensor:
        x = t.norm("layer_norm1", t.input(c.hidden, Axis.PATCHES), style="layer")
        shape = both_ways(c.heads, c.hidden, window=rows * columns)
        x = grouped(t, x, shape, names=("q_proj", "k_proj", "v_proj", "out_proj"), bias=True)
        x = t.norm("pre_norm", merged(t, x, rows * columns), style="layer")
        return two_layers(t, x, LINEARS, inner, c.hidden, "gelu_pytorch_tanh")

    siglip_body(c, m, side * side)
    m.single("vision", merge, name="vit_merger")
    picture(
        m,
        size=c.pair("image_size"),
        patches=side * side,
        tokens=side * side // (rows * columns) // 4,
        wide=wide,
    )


@family("minicpmv4_6", "minicpmv4_7", "minicpm_ocr")
def minicpm_v(c: Config, m: ModelBuilder) -> None:
    """MiniCPM-V 4.6 and 4.7: squares of patches again and again, then the language model's width."""
    vision = see(c, m, "model.vision_tower")
    text = language(c, m)
    rows, columns = c.pair("merge_kernel_size", 2)
    times = c.count("merger_times", 1)

    def write(t: Trace, x: Tensor, is_last: bool) -> Tensor:
        x = t.norm("pre_norm", merged(t, x, rows * columns), style="layer")
        return two_layers(t, x, LINEARS, x.width, text.hidden if is_last else vision.hidden, "gelu")

    m.stack(
        times,
        write,
        width=vision.hidden,
        name="model.merger.mlp.{}",
        component="projector",
        axis=Axis.PATCHES,
        kinds=lambda i: i == times - 1,
    )
    logits(c, m, text)


@tower("hunyuan_vl_vision")
def hunyuan_vision(c: Config, m: ModelBuilder) -> None:
    """Hunyuan-VL's tower: positions interpolated, patches merged by convolutions, marks around a picture."""
    side, out = c.size("spatial_merge_size"), c.size("text_hidden_size")
    count = (c.size("max_image_size") // c.size("patch_size")) ** 2 + 1

    def embed(t: Trace) -> Tensor:
        x = patches(t, "patch_embedding", c.size("num_channels"), c.hidden, c.pair("patch_size"))
        return positions(t, x, "position_embedding", count)

    def merge(t: Trace) -> Tensor:
        for name in ("image_begin", "image_end", "image_sep"):
            held(t, name, out)
        held(t, "image_newline", 4 * c.hidden)
        x = t.norm("before_rms", t.input(c.hidden, Axis.PATCHES))
        x = t.convolution("proj_conv", x, 2 * c.hidden, kernel=(side, side), axis=Axis.IMAGE_TOKENS)
        x = t.convolution("proj_out", t.elementwise(activation(c), x), 4 * c.hidden, kernel=(1, 1))
        return t.norm("after_rms", t.linear("mlp", x, out, bias=True))

    m.single("vision", embed, name="embeddings")
    plain_layers(c, m, "layers.{}", names=NAMES)
    m.single("vision", merge, name="patch_merger")
    picture(m, patch=c.size("patch_size"), merge=side * side)


@family("hunyuan_vl")
def hunyuan_vl(c: Config, m: ModelBuilder) -> None:
    """Hunyuan-VL: Hunyuan's dense layers, normalised heads."""
    text = c.sub("text_config")
    language(c, m)
    see(c, m, "model.vision_tower", text_hidden_size=text.hidden)
    logits(c, m, text, tied=c.tied or text.flag("tie_word_embeddings"))


@tower("granite_docling_vision")
def granite_docling_vision(c: Config, m: ModelBuilder) -> None:
    """SigLIP with two routes to the language model, coarse and fine; some layers feed the decoder's first."""
    out, deep = c.size("out_hidden_size"), len(c.items("deepstack_visual_indexes", [0, 0, 0]) or [])
    factors = {"coarse": c.size("scale_factor")}
    if c.flag("use_fine_route", True):
        factors["fine"] = c.size("scale_factor") // 2
    idefics(c, m)

    def merge(t: Trace, x: Tensor) -> Tensor:
        return two_layers(t, t.norm("layer_norm", x, style="layer"), LINEARS, out, out, "gelu")

    with m.prefix("connector"):
        m.single("projector", lambda t: t.norm("ln_in", t.input(c.hidden, Axis.PATCHES), style="layer"))
        for name, factor in factors.items():
            wide = c.hidden * factor * factor
            m.single(
                "projector",
                lambda t, wide=wide: t.linear("projection", t.input(wide, Axis.IMAGE_TOKENS), out),  # type: ignore[misc]
                name=name,
            )
            m.stack(deep, merge, width=wide, name=f"{name}.deepstack_mergers.{{}}", axis=Axis.IMAGE_TOKENS)
        m.single(
            "projector",
            lambda t: t.norm(
                "ln_out",
                t.linear(
                    "mlp_fc2",
                    t.elementwise("gelu", t.norm("ln_mid", t.input(out, Axis.IMAGE_TOKENS), style="layer")),
                    out,
                ),
                style="layer",
            ),
        )


@family("granite_docling")
def granite_docling(c: Config, m: ModelBuilder) -> None:
    """Granite Docling: Granite's layers."""
    if c.get("density_router_hidden_size") is not None:
        raise c.uncovered(
            "density_router_hidden_size", "the router between both routes is not described here"
        )
    see(c, m, "model.vision_model")
    text = language(c, m, "model.text_model")
    logits(c, m, text, after=scaled(text))


@body("ernie4_5_vl_moe_text")
def ernie_vl_text(c: Config, m: ModelBuilder) -> None:
    """ERNIE 4.5's layers with experts for words and others for pictures, shared ones for both."""
    count, used = chosen(c, "moe_num_experts", "moe_k")
    widths = c.items("moe_intermediate_size") or [1536, 512]
    if len(widths) != 2 or not all(type(width) is int and 0 < width < 2**24 for width in widths):
        raise c.wrong("moe_intermediate_size", "config_layer_types", value=len(widths), layers=2)
    shared, bias = c.size("moe_num_shared_experts", 2, least=0), c.flag("use_bias")
    shape = Heads.of(c)
    options: dict[str, Any] = {"activation": activation(c), "bias": bias}

    def mixture(t: Trace, x: Tensor) -> Tensor:
        seen = t.view(x, axis=Axis.IMAGE_TOKENS)
        outs = [
            sparse(
                t,
                tokens,
                count=count,
                top_k=used,
                inner=width,
                module=f"mlp.{kind}_moe",
                activation=activation(c),
                correction="gate.moe_statics.e_score_correction_bias",
                correction_shape=(1, count),
                correction_buffer=False,
            )
            for kind, tokens, width in zip(("text", "vision"), (x, seen), widths, strict=True)
        ]
        out = t.add(*outs)
        return (
            t.add(out, gated(t, x, widths[0] * shared, module="mlp.shared_experts", **options))
            if shared
            else out
        )

    def layer(t: Trace, x: Tensor, kind: str) -> Tensor:
        feed = mixture if kind == "sparse" else partial(gated, inner=c.inner, **options)
        return pre_norm(t, x, partial(grouped, shape=shape, bias=bias), feed)

    types = kinds(c, "mlp_layer_types", ["dense"] + ["sparse"] * (c.layers - 1))
    m.embed("embed_tokens", c.vocab, c.hidden)
    m.stack(c.layers, layer, width=c.hidden, kinds=lambda i: types[i])
    m.final_norm("norm", c.hidden)


@tower("ernie4_5_vl_moe_vision")
def ernie_vision(c: Config, m: ModelBuilder) -> None:
    """Qwen2-VL's layers over patches as vectors of pixels."""
    pixels = c.size("in_channels") * c.size("patch_size") ** 2
    heads = both_ways(c.heads, c.hidden, turned=True)

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
        )

    m.single("vision", lambda t: t.linear("patch_embed.proj", t.input(pixels, Axis.PATCHES), c.hidden))
    m.stack(c.count("depth"), layer, width=c.hidden, name="blocks.{}", axis=Axis.PATCHES)
    norm(m, "ln", c.hidden)
    picture(m, patch=c.size("patch_size"), merge=c.size("spatial_merge_size") ** 2)


@family("ernie4_5_vl_moe")
def ernie_vl(c: Config, m: ModelBuilder) -> None:
    """ERNIE 4.5 VL: squares of patches, then pairs of frames."""
    text = language(c, m)
    vision = see(c, m, "model.vision_tower")
    space = vision.hidden * vision.size("spatial_merge_size") ** 2

    def shrink(t: Trace, x: Tensor) -> Tensor:
        return t.norm("ln", two_layers(t, x, ("fc1", "fc2"), space, space, "gelu"), style="layer")

    def write(t: Trace) -> Tensor:
        with t.scope("spatial_linear"):
            shrink(t, t.input(space, Axis.IMAGE_TOKENS))
        with t.scope("temporal_linear"):
            x = shrink(t, t.input(space * vision.size("temporal_merge_size"), Axis.IMAGE_TOKENS))
        return t.norm("after_norm", t.linear("mlp", x, text.hidden, bias=True))

    project(m, "model.resampler_model", write)
    logits(c, m, text)


@tower("molmo2_vision")
def molmo_vision(c: Config, m: ModelBuilder) -> None:
    """Molmo 2's SigLIP (arXiv 2601.10611): patches as vectors of pixels, bare positions."""
    rows = c.maybe("num_position_embeddings")
    if rows is None:
        height, width = c.pair("image_size", 378)
        rows = (height // c.size("patch_size")) * (width // c.size("patch_size"))
    heads = Heads(c.heads, c.kv_heads, c.head_dim, rotary_dim=0, causal=False, cached=False)

    def embed(t: Trace) -> Tensor:
        held(t, "positional_embedding", rows, c.hidden)
        pixels = t.input(c.size("num_channels") * c.size("patch_size") ** 2, Axis.PATCHES)
        return t.linear("patch_embedding", pixels, c.hidden, bias=True)

    m.single("vision", embed)
    m.stack(
        c.layers,
        partial(
            vision_layer,
            heads=heads,
            inner=c.inner,
            act=activation(c),
            names=NAMES,
            bias=c.flag("attention_bias", True),
            out_bias=c.flag("attention_bias", True),
        ),
        width=c.hidden,
        axis=Axis.PATCHES,
    )
    picture(m, patch=c.size("patch_size"), merge=4)


@body("molmo2_text")
def molmo_text(c: Config, m: ModelBuilder) -> None:
    """Qwen 3's layers, on request with norms behind; rows beside the vocabulary for marks."""
    kind = "head" if c.text("qk_norm_type") == "qwen3" else "full"
    attention = partial(
        grouped, shape=Heads.of(c), bias=c.flag("attention_bias"), out_bias=False, qk_norm=kind
    )
    names = ("input_layernorm", "post_attention_layernorm")
    wrap = partial(post_norm, names=names) if c.flag("norm_after") else partial(pre_norm, names=names)
    m.embed("embed_tokens", c.vocab + c.size("additional_vocab_size", least=0), c.hidden)
    m.stack(
        c.layers,
        lambda t, x: wrap(t, x, attention, partial(gated, inner=c.inner, activation=activation(c))),
        width=c.hidden,
    )
    m.final_norm("norm", c.hidden)


@family("molmo2")
def molmo2(c: Config, m: ModelBuilder) -> None:
    """Molmo 2: squares of patches pooled by attention, a gated projector."""
    see(c, m, "model.vision_tower")
    a = c.sub("adapter_config")
    taken = len(a.items("vision_feature_layer", [-3, -9]) or [0])
    shape = Heads(a.heads, a.kv_heads, a.head_dim, rotary_dim=0, causal=False, cached=False)
    source, bias = a.hidden * taken, a.flag("attention_bias", True)

    def write(t: Trace) -> Tensor:
        x = cross_attention(
            t,
            t.input(source, Axis.IMAGE_TOKENS),
            shape,
            module="image_pooling_2d",
            names=NAMES,
            bias=bias,
            out_bias=bias,
            source=source,
            axis=Axis.PATCHES,
            out=a.hidden,
        )
        return gated(
            t,
            x,
            a.inner,
            module="image_projector",
            width=a.size("text_hidden_size"),
            activation=activation(a),
            bias=a.flag("mlp_bias"),
            out_bias=False,
        )

    project(m, "model.multi_modal_projector", write)
    text = language(c, m)
    logits(c, m, text, tied=False)  # the embedding has rows that the head lacks
