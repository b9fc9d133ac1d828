"""MiniMax-M3 with pictures: CLIP's layers with rotary positions, a projector in two steps."""

from functools import partial

from ..blocks.vision import both_ways, merged, patches, two_layers, vision_layer
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .composite import language, logits, picture, project, see, tower
from .llama import activation
from .registry import family
from .towers import norm


@tower("minimax_m3_vl_vision")
def minimax_m3_vision(c: Config, m: ModelBuilder) -> None:
    """CLIP's layers with rotary positions over space and time."""
    kernel = (c.size("temporal_patch_size"), *c.pair("patch_size"))
    heads = both_ways(c.heads, c.hidden, turned=True)
    m.single(
        "vision",
        lambda t: patches(t, "embeddings.proj", c.size("num_channels"), c.hidden, kernel, bias=False),
    )
    norm(m, "pre_layrnorm", c.hidden)
    m.stack(
        c.layers,
        partial(vision_layer, heads=heads, inner=c.inner, act=activation(c)),
        width=c.hidden,
        axis=Axis.PATCHES,
    )
    picture(m, patch=c.size("patch_size"), merge=c.size("spatial_merge_size") ** 2)


@family("minimax_m3_vl")
def minimax_m3(c: Config, m: ModelBuilder) -> None:
    """Two layers for every patch, two more for every square of patches."""
    vision = see(c, m, "model.vision_tower")
    text = language(c, m)
    inner = c.size("projector_hidden_size")

    def write(t: Trace) -> Tensor:
        x = two_layers(
            t, t.input(vision.hidden, Axis.PATCHES), ("linear_1", "linear_2"), inner, text.hidden, "gelu"
        )
        x = merged(t, x, vision.size("spatial_merge_size") ** 2)
        return two_layers(t, x, ("merge_linear_1", "merge_linear_2"), inner, text.hidden, "gelu")

    project(m, "model.multi_modal_projector", write)
    logits(c, m, text, tied=c.tied or text.tied)
