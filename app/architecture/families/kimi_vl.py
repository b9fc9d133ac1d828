"""Kimi with pictures: MoonViT before DeepSeek-V3's layers (Kimi K2.5) or Kimi Linear's (K3)."""

from functools import partial

from ..blocks.vision import both_ways, held, merged, patches, two_layers, vision_layer
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .composite import language, logits, picture, project, see, tower
from .registry import family
from .towers import norm


def published(c: Config, name: str, older: str) -> int:
    """A size under its own name or the one that Moonshot's files have."""
    return c.size(older if c.given(older) is not None else name)


@tower("kimi_k25_vision", "kimi_k3_vision")
def moon_vit(c: Config, m: ModelBuilder) -> None:
    """MoonViT (arXiv 2504.07491): learned positions and rotary ones in two dimensions."""
    width = published(c, "hidden_size", "vt_hidden_size")
    inner, count = (
        published(c, "intermediate_size", "vt_intermediate_size"),
        c.count(
            "vt_num_hidden_layers" if c.given("vt_num_hidden_layers") is not None else "num_hidden_layers"
        ),
    )
    heads = both_ways(published(c, "num_attention_heads", "vt_num_attention_heads"), width, turned=True)
    rows = [published(c, f"pos_emb_{side}", f"init_pos_emb_{side}") for side in ("height", "width")]

    def embed(t: Trace) -> Tensor:
        held(t, "pos_emb.position_embeddings", *rows, width)
        return patches(t, "proj", c.size("num_channels", 3), width, c.pair("patch_size"))

    layer = partial(
        vision_layer,
        heads=heads,
        inner=inner,
        act=c.text("hidden_act", "gelu_pytorch_tanh"),
        module="attn",
        names=("q_proj", "k_proj", "v_proj", "proj"),
        norms=("norm1", "norm2"),
    )
    m.single("vision", embed, name="patch_embed")
    m.stack(count, layer, width=width, axis=Axis.PATCHES)
    norm(m, "final_layernorm", width)
    side = c.pair("merge_kernel_size", 2)
    picture(m, patch=c.size("patch_size"), merge=side[0] * side[1])


@family("kimi_k25", "kimi_k3")
def kimi(c: Config, m: ModelBuilder) -> None:
    """Patches normalised, put together in squares and mapped to the language model's width."""
    vision = see(c, m, "model.vision_tower", otherwise="kimi_k25_vision")
    text = language(c, m)
    side = vision.pair("merge_kernel_size", 2)
    width = published(vision, "hidden_size", "vt_hidden_size")
    normed = c.size("projection_hidden_size", width)

    def write(t: Trace) -> Tensor:
        x = t.norm("pre_norm", t.input(width, Axis.PATCHES), style="layer", width=normed)
        x = merged(t, x, side[0] * side[1])
        return two_layers(t, x, ("in_proj", "out_proj"), x.width, text.hidden, "gelu")

    project(m, "model.mm_projector", write)
    logits(c, m, text)
