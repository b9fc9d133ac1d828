"""Llama with pictures: Llama 3.2 Vision, whose layers attend to them, and Llama 4."""

from functools import partial

from ..blocks.attention import Heads, grouped
from ..blocks.cross import cross_attention
from ..blocks.feed_forward import gated
from ..blocks.residual import pre_norm
from ..blocks.vision import both_ways, held, merged, patches, scaled, vision_layer
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .composite import language, logits, picture, project, see, tower
from .llama import activation
from .registry import body, family
from .towers import norm, places

NAMES = ("q_proj", "k_proj", "v_proj", "o_proj")
NORMS = ("input_layernorm", "post_attention_layernorm")
ARRANGEMENTS = 8  # of up to four tiles
EXTRA_ROWS = 8  # the embedding's beyond the vocabulary, for the image token


@tower("mllama_vision_model")
def mllama_vision(c: Config, m: ModelBuilder) -> None:
    """Llama 3.2's tower (arXiv 2407.21783): up to four tiles, gated positions, gated global layers."""
    count, tiles = places(c) + 1, c.size("max_num_tiles")
    arrangements = len(c.items("supported_aspect_ratios") or range(ARRANGEMENTS)) + 1

    def embed(t: Trace) -> Tensor:
        held(t, "class_embedding", c.hidden)
        x = patches(t, "patch_embedding", c.size("num_channels"), c.hidden, c.pair("patch_size"), bias=False)
        with t.scope("gated_positional_embedding"):
            held(t, "gate", 1)
            held(t, "embedding", count, c.hidden)
            held(t, "tile_embedding.weight", arrangements, tiles * count * c.hidden)
        for place in ("pre", "post"):
            with t.scope(f"{place}_tile_positional_embedding"):
                held(t, "gate", 1)
                held(t, "embedding.weight", arrangements, tiles * c.hidden)
        return x

    heads = both_ways(c.heads, c.hidden)
    layer = partial(
        vision_layer, heads=heads, inner=c.inner, act=activation(c), names=NAMES, bias=False, norms=NORMS
    )
    gates = partial(layer, scales=("gate_attn", "gate_ffn"), scale_shape=(1,))
    m.single("vision", embed)
    norm(m, "layernorm_pre", c.hidden)
    norm(m, "layernorm_post", c.hidden)
    m.stack(c.layers, layer, width=c.hidden, name="transformer.layers.{}", axis=Axis.PATCHES)
    m.stack(
        c.count("num_global_layers"),
        gates,
        width=c.hidden,
        name="global_transformer.layers.{}",
        axis=Axis.PATCHES,
    )
    picture(m, size=c.pair("image_size"), patches=count, tokens=count, tiles=tiles)


@body("mllama_text_model")
def mllama_text(c: Config, m: ModelBuilder) -> None:
    """Llama 3's layers, some replaced by gated attention to the picture's."""
    crossed = c.items("cross_attention_layers", [3, 8, 13, 18, 23, 28, 33, 38]) or []
    heads = Heads.of(c)
    mlp = partial(gated, inner=c.inner, activation=activation(c))
    attention = partial(grouped, shape=heads)

    def layer(t: Trace, x: Tensor, is_cross: bool) -> Tensor:
        if not is_cross:
            return pre_norm(t, x, attention, mlp)
        mixed = cross_attention(
            t, t.norm(NORMS[0], x), heads, module="cross_attn", names=NAMES, qk_norm="head"
        )
        x = t.add(x, scaled(t, mixed, "cross_attn_attn_gate", (1,)))
        return t.add(x, scaled(t, mlp(t, t.norm(NORMS[1], x)), "cross_attn_mlp_gate", (1,)))

    m.embed("embed_tokens", c.vocab + EXTRA_ROWS, c.hidden)
    m.stack(c.layers, layer, width=c.hidden, kinds=lambda i: i in crossed, needs={True: Axis.SOURCE})
    m.final_norm("norm", c.hidden)


@family("mllama")
def mllama(c: Config, m: ModelBuilder) -> None:
    """Llama 3.2 Vision: the head is never tied."""
    vision = see(c, m, "model.vision_model")
    text = language(c, m)
    width = vision.size("vision_output_dim")
    m.single(
        "projector",
        lambda t: t.linear(
            "model.multi_modal_projector", t.input(width, Axis.SOURCE), text.hidden, bias=True
        ),
    )
    logits(c, m, text, tied=False)


@tower("llama4_vision_model")
def llama4_vision(c: Config, m: ModelBuilder) -> None:
    """Llama 4's tower: rotary positions, patches put together before a small adapter."""
    count, patch = places(c) + 1, c.size("patch_size")
    heads = both_ways(c.heads, c.hidden, turned=True)

    def embed(t: Trace) -> Tensor:
        held(t, "class_embedding", c.hidden)
        held(t, "positional_embedding_vlm", count, c.hidden)
        return t.linear(
            "patch_embedding.linear", t.input(c.size("num_channels") * patch * patch, Axis.PATCHES), c.hidden
        )

    def adapter(t: Trace) -> Tensor:
        ratio = c.number("pixel_shuffle_ratio")
        x = merged(t, t.input(c.hidden, Axis.PATCHES), max(1, round(1 / ratio**2)))
        inner, out = c.size("projector_input_dim"), c.size("projector_output_dim")
        x = t.elementwise("gelu", t.linear("mlp.fc1", x, inner, fan_in=c.inner))
        return t.linear("mlp.fc2", t.view(x, out), out)

    m.single("vision", embed)
    norm(m, "layernorm_pre", c.hidden)
    m.stack(
        c.layers,
        partial(vision_layer, heads=heads, inner=c.inner, act=activation(c), names=NAMES, norms=NORMS),
        width=c.hidden,
        name="model.layers.{}",
        axis=Axis.PATCHES,
    )
    norm(m, "layernorm_post", c.hidden)
    m.single("vision", adapter, name="vision_adapter")
    picture(
        m,
        size=c.pair("image_size"),
        patches=count,
        tokens=round((count - 1) * c.number("pixel_shuffle_ratio") ** 2),
    )


@family("llama4")
def llama4(c: Config, m: ModelBuilder) -> None:
    """Llama 4: the language model with its head is a model of its own."""
    vision = see(c, m, "vision_model")
    text = language(c, m, "language_model.model")
    width = vision.size("vision_output_dim")
    project(
        m,
        "multi_modal_projector",
        lambda t: t.linear("linear_1", t.input(width, Axis.IMAGE_TOKENS), text.hidden),
    )
    logits(c, m, text, "language_model.lm_head", tied=text.tied)
