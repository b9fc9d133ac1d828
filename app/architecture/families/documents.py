"""Document readers: DeepSeek-OCR 2, Granite 4 Vision, Cohere Compass."""

from functools import partial

from ..blocks.attention import Heads, grouped
from ..blocks.feed_forward import gated
from ..blocks.residual import pre_norm
from ..blocks.vision import held
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .composite import language, logits, picture, see, tower
from .deepseek_vl import unlimited_text
from .florence import stages
from .granite import granite
from .llama import activation
from .llava import newline
from .registry import body, family, scaled
from .towers import norm, sam_layers
from .towers_qwen import qwen3_vl

MOST_PROJECTORS = 2**8

body("granite4_vision_text")(granite)
tower("cohere_compass_vision")(qwen3_vl)


@tower("deepseek_ocr2_sam_vision_model")
def ocr2_sam(c: Config, m: ModelBuilder) -> None:
    """SAM's tower, then two convolutions of stated widths that make its patches coarser."""
    sam_layers(c, m, c.size("mlp_dim", int(c.hidden * c.number("mlp_ratio", 4.0))))
    given = c.get("downsample_channels") is not None
    widths = stages(c, "downsample_channels") if given else [512, 896]
    if len(widths) < 2:
        raise c.wrong("downsample_channels", "config_not_list", value=len(widths))
    first, second = widths[:2]

    def coarser(t: Trace) -> Tensor:
        seen = t.input(c.size("output_channels"), Axis.PATCHES)
        x = t.convolution("conv1", seen, first, kernel=(3, 3), bias=False)
        return t.convolution("conv2", x, second, kernel=(3, 3), bias=False, axis=Axis.IMAGE_TOKENS)

    m.single("vision", coarser, name="proj")


@tower("deepseek_ocr2_encoder")
def ocr2_encoder(c: Config, m: ModelBuilder) -> None:
    """Qwen 2's layers over patches and learned queries behind them."""
    attention = partial(grouped, shape=Heads.of(c, cached=False), bias=True, out_bias=False)
    mlp = partial(gated, inner=c.inner, activation=activation(c))
    m.stack(c.layers, lambda t, x: pre_norm(t, x, attention, mlp), width=c.hidden, axis=Axis.PATCHES)
    norm(m, "norm", c.hidden, "rms")


@body("deepseek_ocr2_text")
def ocr2_text(c: Config, m: ModelBuilder) -> None:
    """DeepSeek V2's experts under plain attention; which layers have them must be told."""
    if c.items("mlp_layer_types") is None and c.get("first_k_dense_replace") is None:
        raise c.wrong("mlp_layer_types", "config_missing", model_type=c.model_type)
    unlimited_text(c, m)


# Learned queries by resolution: 12 x 12 for 768 pixels, 16 x 16 for 1024.
QUERIES = {"query_768_resolution": 144, "query_1024_resolution": 256}


@family("deepseek_ocr2")
def deepseek_ocr2(c: Config, m: ModelBuilder) -> None:
    """DeepSeek-OCR 2: SAM's patches read in an order that queries learn, one linear layer to the text."""
    vision = c.sub("vision_config")
    with m.prefix("model.vision_tower"):
        see(vision, m, "sam_encoder", "sam_config")
        low = see(vision, m, "vision_encoder", "encoder_config")
        for name, rows in QUERIES.items():
            m.single("vision", partial(held_rows, name=f"{name}.weight", rows=rows, width=low.hidden))
    text = language(c, m)
    m.single(
        "projector",
        lambda t: t.linear(
            "model.multi_modal_projector", t.input(low.hidden, Axis.IMAGE_TOKENS), text.hidden, bias=True
        ),
    )
    m.single("projector", lambda t: held(t, "model.view_separator", text.hidden))
    picture(m, size=(1024, 1024), patches=4096, tokens=QUERIES["query_1024_resolution"])
    logits(c, m, text)


def held_rows(t: Trace, name: str, rows: int, width: int) -> None:
    """A learned table."""
    held(t, name, rows, width)


def sides(c: Config) -> tuple[int, int]:
    """Queries and patches along a window's side, of `downsample_rate` ("4/8": 16 queries for 64 patches)."""
    queries, _, window = c.text("downsample_rate").partition("/")
    if not (queries.isdecimal() and window.isdecimal() and len(queries) < 5 and len(window) < 5):
        raise c.wrong("downsample_rate", "config_not_text", value=c.text("downsample_rate")[:40])
    return int(queries), int(window)


def downsampler(c: Config, m: ModelBuilder, vision: Config, text: Config) -> None:
    """Queries attend to the patches of a window through a small Q-Former."""
    queries, window = sides(c)

    def write(t: Trace) -> Tensor:
        held(t, "query", 1, queries**2, vision.hidden)
        held(t, "image_positions", 1, window**2, vision.hidden)
        x = t.norm("norm", t.input(vision.hidden, Axis.PATCHES), style="layer")
        return t.linear("out_linear", t.view(x, axis=Axis.IMAGE_TOKENS), text.hidden, bias=True)

    see(
        c, m, "qformer", "qformer_config", component="projector", hidden_size=vision.hidden,
        num_attention_heads=vision.hidden // 64, encoder_hidden_size=vision.hidden,
    )  # fmt: skip
    m.single("projector", write)


@family("granite4_vision")
def granite4_vision(c: Config, m: ModelBuilder) -> None:
    """Granite 4 Vision: a projector for every pair of layers in `deepstack_layer_map`, four more by place."""
    vision = see(c, m, "model.vision_tower")
    text = language(c, m)
    newline(m, text)
    pairs = c.items("deepstack_layer_map")
    if pairs is None:
        raise c.wrong("deepstack_layer_map", "config_missing", model_type=c.model_type)
    if len(pairs) > MOST_PROJECTORS:
        raise c.wrong(
            "deepstack_layer_map", "config_out_of_range", value=len(pairs), least=0, most=MOST_PROJECTORS
        )
    for name, count in (("layerwise_projectors", len(pairs)), ("spatial_projectors", 4)):
        for i in range(count):
            with m.prefix(f"model.{name}.{i}"):
                downsampler(c, m, vision, text)
    logits(c, m, text, after=scaled(text))


@family("cohere_compass")
def cohere_compass(c: Config, m: ModelBuilder) -> None:
    """Cohere Compass: Qwen3-VL's tower before Command's layers."""
    see(c, m, "model.visual")
    text = language(c, m)
    logits(c, m, text, after=scaled(text))
