"""Image-text lineages whose modelling code stands beside their checkpoints."""

from ..blocks.vision import both_ways, held, patches, vision_layer
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .composite import picture, project
from .registry import BODIES, FAMILIES, TOWERS, family

# CLIP ViT-L/14 at 336 pixels, the tower that Phi-3-vision's code fixes (arXiv 2103.00020).
CLIP_LARGE = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 336,
    "patch_size": 14,
    "hidden_act": "quick_gelu",
}


@family("internvl_chat")
def internvl_chat(c: Config, m: ModelBuilder) -> None:
    """InternVL 1.5 to 3 as first published (arXiv 2404.16821): a whole language model below a prefix."""
    vision, text = c.sub("vision_config", "intern_vit_6b"), c.sub("llm_config")
    write = FAMILIES.get(text.model_type)
    if write is None:
        raise text.uncovered("model_type", "its language model is not described here")
    with m.component("vision"), m.prefix("vision_model"):
        tokens = intern_vit(vision, m)
    with m.prefix("language_model"):
        write(text, m)
    merge = int(1 / c.number("downsample_ratio", 0.5)) ** 2

    def connect(t: Trace) -> None:
        x = t.norm("0", t.input(vision.hidden * merge, Axis.IMAGE_TOKENS), style="layer")
        x = t.elementwise("gelu", t.linear("1", x, m.hidden_size, bias=True))
        t.linear("3", x, m.hidden_size, bias=True)

    project(m, "mlp1", connect)
    m.notes["kind"] = "image_text"
    m.notes["image"] |= {"tokens": tokens // merge}


def intern_vit(c: Config, m: ModelBuilder) -> int:
    """InternViT (arXiv 2312.14238); gives the patches of a picture without the class token."""
    side = c.size("image_size") // c.size("patch_size")
    style = "rms" if c.text("norm_type", "rms_norm") == "rms_norm" else "layer"
    norm = "full" if c.flag("qk_normalization") else None
    heads = both_ways(c.heads, c.hidden)

    def embed(t: Trace) -> Tensor:
        held(t, "class_embedding", 1, 1, c.hidden)
        held(t, "position_embedding", 1, side * side + 1, c.hidden)
        kernel = (c.size("patch_size"),) * 2
        return patches(t, "patch_embedding", c.size("num_channels"), c.hidden, kernel)

    def layer(t: Trace, x: Tensor) -> Tensor:
        return vision_layer(t, x, heads=heads, inner=c.inner, act=c.text("hidden_act"), module="attn",
                            qkv=("qkv", "proj"), bias=c.flag("qkv_bias"), out_bias=True, qk_norm=norm,
                            norms=("norm1", "norm2"), style=style, scales=("ls1", "ls2"))  # fmt: skip

    m.single("vision", embed, name="embeddings")
    m.stack(c.layers, layer, width=c.hidden, name="encoder.layers.{}", axis=Axis.PATCHES)
    picture(m, size=(c.size("image_size"),) * 2, patches=side * side + 1)
    return side * side


@family("phi3_v")
def phi3_vision(c: Config, m: ModelBuilder) -> None:
    """Phi-3-vision (arXiv 2404.14219): four CLIP patches a token, learned separators of crops."""
    clip = Config(CLIP_LARGE, "clip_vision_model", f"{c.path}.img_processor")
    with m.prefix("model"):
        BODIES["phi3"](c, m)
    with m.component("vision"), m.prefix("model.vision_embed_tokens.img_processor.vision_model"):
        TOWERS["clip_vision_model"](clip, m)

    def connect(t: Trace) -> None:
        held(t, "glb_GN", 1, 1, 4 * clip.hidden)
        held(t, "sub_GN", 1, 1, 1, 4 * clip.hidden)
        x = t.linear("img_projection.0", t.input(4 * clip.hidden, Axis.IMAGE_TOKENS), c.hidden, bias=True)
        t.linear("img_projection.2", t.elementwise("gelu", x), c.hidden, bias=True)

    project(m, "model.vision_embed_tokens", connect)
    m.head("lm_head", c.hidden, c.vocab, tied=c.tied)
    m.notes["kind"] = "image_text"
