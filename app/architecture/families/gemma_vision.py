"""Gemma with pictures and sound: Gemma 3, PaliGemma, Gemma 4 and their towers."""

from functools import partial

from ..blocks.attention import grouped
from ..blocks.feed_forward import gated
from ..blocks.residual import sandwich
from ..blocks.vision import both_ways, held
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .composite import language, logits, picture, project, see, tower
from .registry import family

BOUNDS = ("input_max", "input_min", "output_max", "output_min")


@family("gemma3", "shieldgemma2")
def gemma3(c: Config, m: ModelBuilder) -> None:
    """Gemma 3 (arXiv 2503.19786): SigLIP's patches averaged to `mm_tokens_per_image` tokens."""
    vision = see(c, m, "model.vision_tower")
    text = language(c, m)
    soft_tokens(m, "model.multi_modal_projector", vision, text)
    m.notes["image"] |= {"tokens": c.size("mm_tokens_per_image", 256)}
    tied = c.tied or (c.model_type == "shieldgemma2" and text.tied)
    logits(c, m, text, tied=tied)


def soft_tokens(m: ModelBuilder, name: str, vision: Config, text: Config) -> None:
    """The averaged patches, normalised and multiplied by a bare matrix."""

    def write(t: Trace) -> Tensor:
        x = t.norm("mm_soft_emb_norm", t.input(vision.hidden, Axis.IMAGE_TOKENS), style="rms_one_plus")
        return t.linear("mm_input_projection_weight", x, text.hidden, module=False, transposed=True)

    project(m, name, write)


@family("paligemma")
def paligemma(c: Config, m: ModelBuilder) -> None:
    """PaliGemma 1 and 2 (arXiv 2407.07726): one linear layer between the two."""
    vision = see(c, m, "model.vision_tower")
    text = language(c, m)
    width = vision.size("projection_dim", c.size("projection_dim", 2048))
    project(
        m,
        "model.multi_modal_projector",
        lambda t: t.linear("linear", t.input(vision.hidden, Axis.IMAGE_TOKENS), width, bias=True),
    )
    logits(c, m, text)


def bounds(c: Config, t: Trace, *names: str) -> None:
    """What a clipped linear layer's input and output are held to: buffers beside each of them."""
    if c.flag("use_clipped_linears"):
        t.hold(*(t.parameter(f"{name}.{bound}", (), buffer=True) for name in names for bound in BOUNDS))


@tower("gemma4_vision")
def gemma4_vision(c: Config, m: ModelBuilder) -> None:
    """Gemma 4's tower: Gemma's layers over patches, positions of rows and columns."""
    heads = both_ways(c.heads, c.heads * c.head_dim, kv_heads=c.kv_heads, turned=True)
    projections = [f"self_attn.{name}_proj.linear" for name in "qkvo"]
    halves = [f"mlp.{name}_proj.linear" for name in ("gate", "up", "down")]
    attention = partial(
        grouped,
        shape=heads,
        names=("q_proj.linear", "k_proj.linear", "v_proj.linear", "o_proj.linear"),
        qk_norm="head",
        qk_style="rms_wide",
    )
    mlp = partial(
        gated,
        inner=c.inner,
        names=("gate_proj.linear", "up_proj.linear", "down_proj.linear"),
        activation=c.text("hidden_activation"),
    )

    def embed(t: Trace) -> Tensor:
        held(t, "position_embedding_table", 2, c.size("position_embedding_size"), c.hidden)
        pixels = t.input(3 * c.size("patch_size") ** 2, Axis.PATCHES)
        return t.linear("input_proj", pixels, c.hidden)

    def layer(t: Trace, x: Tensor) -> Tensor:
        bounds(c, t, *(name.removesuffix(".linear") for name in (*projections, *halves)))
        return sandwich(t, x, attention, mlp, style="rms_wide")

    m.single("vision", embed, name="patch_embedder")
    m.stack(c.layers, layer, width=c.hidden, name="encoder.layers.{}", axis=Axis.PATCHES)
    if c.flag("standardize"):
        m.single(
            "vision",
            lambda t: t.hold(
                *(t.parameter(name, (c.hidden,), buffer=True) for name in ("std_bias", "std_scale"))
            ),
        )
    picture(
        m,
        patch=c.size("patch_size"),
        merge=c.size("pooling_kernel_size") ** 2,
        tokens=c.size("default_output_length", 280),
    )


def to_text(m: ModelBuilder, name: str, width: int, text: Config, axis: Axis) -> None:
    """A norm without weights and one linear layer."""

    def write(t: Trace) -> Tensor:
        x = t.norm("embedding_pre_projection_norm", t.input(width, axis), style="rms_plain")
        return t.linear("embedding_projection", x, text.hidden)

    project(m, name, write)


@family("gemma4")
def gemma4(c: Config, m: ModelBuilder) -> None:
    """Gemma 4: towers for pictures and sound where the configuration has them."""
    if c.get("vision_config") is not None:
        vision = see(c, m, "model.vision_tower")
    text = language(c, m)
    if c.get("audio_config") is not None:
        audio = see(c, m, "model.audio_tower", "audio_config", component="audio")
        to_text(m, "model.embed_audio", audio.size("output_proj_dims", audio.hidden), text, Axis.SOURCE)
    if c.get("vision_config") is not None:
        to_text(
            m, "model.embed_vision", vision.size("output_proj_dims", vision.hidden), text, Axis.IMAGE_TOKENS
        )
    logits(c, m, text)
