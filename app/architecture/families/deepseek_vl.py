"""DeepSeek-VL with one tower or two, GOT-OCR 2 and PP-Chart2Table with SAM's, and their projectors."""

from functools import partial

from ..blocks.attention import Heads, grouped
from ..blocks.vision import held, positions, two_layers
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .composite import language, logits, project, see, tower
from .deepseek import deepseek_experts
from .mixtures import Half, dense, kinds, layers
from .registry import body, family
from .towers import got_ocr2, neck, norm, places, plain_layers, sam_layers

tower("pp_chart2table_vision")(got_ocr2)


@family("deepseek_vl")
def deepseek_vl(c: Config, m: ModelBuilder) -> None:
    """DeepSeek-VL 1.3B (arXiv 2403.05525): SigLIP and two linear layers."""
    vision = see(c, m, "model.vision_model")
    text = language(c, m)
    project(
        m,
        "model.aligner",
        lambda t: two_layers(
            t,
            t.input(vision.hidden, Axis.IMAGE_TOKENS),
            ("linear1", "linear2"),
            text.hidden,
            text.hidden,
            "gelu",
        ),
    )
    logits(c, m, text)


def upsampled(t: Trace, channels: int, names: tuple[str, str], out: int | None = None) -> Tensor:
    """Two convolutions of stride two, each doubling the channels unless `out` says what leaves the second."""
    x = t.convolution(names[0], t.input(channels, Axis.PATCHES), 2 * channels, kernel=(3, 3), bias=False)
    return t.convolution(names[1], x, out or 4 * channels, kernel=(3, 3), bias=False, axis=Axis.IMAGE_TOKENS)


@family("deepseek_vl_hybrid")
def deepseek_vl_hybrid(c: Config, m: ModelBuilder) -> None:
    """DeepSeek-VL 7B: SAM sees the picture in high resolution beside SigLIP."""
    m.single("projector", lambda t: held(t, "model.high_res_vision_alpha", 1))
    high = see(c, m, "model.high_res_vision_model", "high_res_vision_config")
    channels = high.size("output_channels")
    with m.component("vision"), m.prefix("model"):
        m.single(
            "vision",
            lambda t: neck(t, t.input(high.hidden, Axis.PATCHES), channels),
            name="high_res_vision_neck",
        )
        m.single("vision", lambda t: upsampled(t, channels, ("conv1", "conv2")), name="high_res_vision_proj")
    vision = see(c, m, "model.vision_model")
    text = language(c, m)

    def align(t: Trace) -> Tensor:
        half = text.hidden // 2
        low = t.linear("vision_proj", t.input(vision.hidden, Axis.IMAGE_TOKENS), half, bias=True)
        fine = t.linear("high_res_vision_proj", t.input(4 * channels, Axis.IMAGE_TOKENS), half, bias=True)
        x = t.elementwise("gelu", t.concat(fine, low))
        return t.linear("proj", x, text.hidden, bias=True, fan_in=text.hidden)

    project(m, "model.aligner", align)
    logits(c, m, text)


@family("got_ocr2", "pp_chart2table")
def got(c: Config, m: ModelBuilder) -> None:
    """GOT-OCR 2 (arXiv 2409.01704): SAM's patches twice coarser by convolutions, one linear layer."""
    vision = see(c, m, "model.vision_tower")
    text = language(c, m)
    channels = vision.size("output_channels")

    def write(t: Trace) -> Tensor:
        x = upsampled(t, channels, ("conv_upsampler1", "conv_upsampler2"), text.hidden)
        return t.linear("multimodal_projector", x, text.hidden, bias=True)

    project(m, "model.multi_modal_projector", write)
    logits(c, m, text)


@tower("unlimited_ocr_sam_vision_model")
def unlimited_sam(c: Config, m: ModelBuilder) -> None:
    """SAM's tower, then two convolutions that make its patches coarser."""
    sam_layers(c, m, c.size("mlp_dim", int(c.hidden * c.number("mlp_ratio", 4.0))))
    channels = c.size("output_channels")
    m.single("vision", lambda t: upsampled(t, channels, ("conv1", "conv2")), name="proj")


@tower("unlimited_ocr_vision_encoder")
def unlimited_clip(c: Config, m: ModelBuilder) -> None:
    """CLIP's layers over what SAM's tower made; no patches of its own."""
    count = places(c) + 1

    def embed(t: Trace) -> Tensor:
        held(t, "class_embedding", c.hidden)
        return positions(t, t.input(c.hidden, Axis.PATCHES), "position_embedding", count)

    m.single("vision", embed, name="embeddings")
    norm(m, "pre_layrnorm", c.hidden)
    plain_layers(c, m)


@body("unlimited_ocr_text")
def unlimited_text(c: Config, m: ModelBuilder) -> None:
    """Llama's attention, DeepSeek V2's experts; the cache keeps the whole prompt."""
    first = c.size("first_k_dense_replace", 1, least=0)
    feeds = kinds(c, "mlp_layer_types", ["sparse" if i >= first else "dense" for i in range(c.layers)])
    attention = partial(
        grouped, shape=Heads.of(c, head_dim=c.hidden // c.heads), bias=c.flag("attention_bias")
    )
    bias = c.flag("mlp_bias")

    def feed(kind: str) -> Half:
        if kind == "sparse":
            return deepseek_experts(c, correction=None, scoring="softmax", shared_bias=bias)
        return dense(c, bias=bias)

    layers(c, m, lambda kind: attention, feed, feeds=feeds)


@family("unlimited_ocr")
def unlimited_ocr(c: Config, m: ModelBuilder) -> None:
    """Unlimited-OCR: SAM's patches through CLIP's layers, both side by side to the language model."""
    vision, text = c.sub("vision_config"), c.sub("text_config")
    for name in ("image_newline", "view_separator"):
        m.single("projector", partial(held_vector, name=f"model.{name}", width=text.hidden))
    with m.prefix("model.vision_tower"):
        high = see(vision, m, "sam_encoder", "sam_config")
        low = see(vision, m, "vision_encoder", "encoder_config")
    width = low.hidden + 4 * high.size("output_channels")
    m.single(
        "projector",
        lambda t: t.linear(
            "model.multi_modal_projector", t.input(width, Axis.IMAGE_TOKENS), text.hidden, bias=True
        ),
    )
    language(c, m)
    logits(c, m, text)


def held_vector(t: Trace, name: str, width: int) -> None:
    """A learned vector of its own."""
    held(t, name, width)
