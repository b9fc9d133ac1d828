"""Muse Glimmer, Step 3.7 and LFM3-VL: towers of their own before sparse or gated decoders."""

from functools import partial

from ..blocks.attention import Heads, grouped
from ..blocks.feed_forward import gated, sparse
from ..blocks.residual import pre_norm, sandwich
from ..blocks.vision import both_ways, merged, patches, positions, two_layers, vision_layer
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .composite import language, logits, picture, project, see, tower
from .llama import activation, windows
from .mixtures import chosen, kinds
from .registry import body, family
from .towers import norm, places, plain_layers

CLIP_NAMES = ("q_proj", "k_proj", "v_proj", "out_proj")


@tower("muse_glimmer_vision")
def muse_vision(c: Config, m: ModelBuilder) -> None:
    """Patches of two frames as vectors of pixels, rotary positions, windows in most layers."""
    if c.hidden % c.heads:
        raise c.wrong("num_attention_heads", "config_not_divisible", value=c.heads, of=c.hidden)
    pixels = 3 * c.size("patch_temporal") * c.size("patch_size") ** 2
    rows = c.size("pos_emb_height") * c.size("pos_emb_width")
    heads = both_ways(c.heads, c.hidden, turned=True)

    def embed(t: Trace) -> Tensor:
        x = t.linear("patch_embedding", t.input(pixels, Axis.PATCHES), c.hidden)
        return positions(t, x, "position_embedding_table", rows)

    layer = partial(
        vision_layer, heads=heads, inner=c.inner, act=activation(c), module="attn",
        names=("q_proj", "k_proj", "v_proj", "proj"), norms=("norm1", "norm2"),
    )  # fmt: skip
    m.single("vision", embed, name="patch_embedder")
    norm(m, "ln_pre", c.hidden)
    m.stack(c.layers, layer, width=c.hidden, axis=Axis.PATCHES)
    norm(m, "ln_post", c.hidden)
    picture(m, patch=c.size("patch_size"), merge=c.size("merge_size") ** 2, frames=c.size("patch_temporal"))


@body("muse_glimmer_text")
def muse_text(c: Config, m: ModelBuilder) -> None:
    """Heads normalised without weights, gated outputs, every fourth layer global and without positions."""
    last = c.layers - 1
    types = ["sliding_attention" if (last - i) % 4 else "full_attention" for i in range(c.layers)]
    window = windows(c, types)
    mlp = partial(gated, inner=c.inner, activation=c.text("hidden_activation", "silu"))

    def layer(t: Trace, x: Tensor, window: int | None, is_turned: bool) -> Tensor:
        shape = Heads.of(c, window=window, **({} if is_turned else {"rotary_dim": 0}))
        attention = partial(
            grouped, shape=shape, bias=c.flag("attention_bias"), qk_norm="head", qk_weight=False,
            gate="gate_proj", query_scale=True,
        )  # fmt: skip
        return sandwich(t, x, attention, mlp, style="rms_one_plus")

    m.embed("embed_tokens", c.vocab, c.hidden)
    m.stack(c.layers, layer, width=c.hidden, kinds=lambda i: (window[i], bool((last - i) % 4)))
    m.final_norm("norm", c.hidden, style="rms_one_plus")


@family("muse_glimmer")
def muse_glimmer(c: Config, m: ModelBuilder) -> None:
    """Muse Glimmer: squares of patches, two layers without biases, one more."""
    see(c, m, "model.vision_tower")
    text = language(c, m)
    wide, inner = c.size("out_hidden_size"), c.size("projector_hidden_size")

    def adapt(t: Trace) -> Tensor:
        x = t.input(wide, Axis.IMAGE_TOKENS)
        x = two_layers(t, x, ("vision_adapter.fc1", "vision_adapter.fc2"), inner, inner, "gelu", bias=False)
        return t.linear("vision_projection", t.elementwise("gelu", x), text.hidden)

    project(m, "model", adapt)
    logits(c, m, text, tied=c.tied)


@tower("step3p5_vision")
def step_vision(c: Config, m: ModelBuilder) -> None:
    """A tower with layer scale, made coarser by two convolutions."""
    inner = int(c.hidden * c.number("mlp_ratio"))

    def embed(t: Trace) -> Tensor:
        channels = c.size("num_channels")
        x = patches(t, "patch_embedding", channels, c.hidden, c.pair("patch_size"), bias=False)
        return positions(t, x, "position_embedding", places(c))

    def coarser(t: Trace) -> Tensor:
        x = t.convolution("downsampler1", t.input(c.hidden, Axis.PATCHES), 2 * c.hidden, kernel=(3, 3))
        return t.convolution("downsampler2", x, 4 * c.hidden, kernel=(3, 3), axis=Axis.IMAGE_TOKENS)

    m.single("vision", embed, name="embeddings")
    norm(m, "pre_layernorm", c.hidden)
    plain_layers(
        c, m, "layers.{}", names=CLIP_NAMES, norms=("layernorm_before", "layernorm_after"), inner=inner,
        scales=("lambda_1", "lambda_2"), heads=both_ways(c.heads, c.hidden, turned=True),
    )  # fmt: skip
    m.single("vision", coarser)
    picture(m, size=c.pair("image_size"), patches=places(c), tokens=places(c) // 16)


def listed(c: Config) -> range | set[int]:
    """Layers with experts: as the published files list them, else from the fourth on."""
    stated = c.get("moe_layers_enum")
    items = stated.split(",") if isinstance(stated, str) else stated
    if not isinstance(items, list):
        return range(3, c.layers)
    return {int(item) for item in items if str(item).strip().isdecimal() and len(str(item)) < 8}


@body("step3p5")
def step_text(c: Config, m: ModelBuilder) -> None:
    """Step 3.5: gated heads, experts from the fourth layer on beside a shared one."""
    count, used = chosen(c, "n_routed_experts", "num_experts_per_tok")
    types = c.layer_types(["full_attention"] * c.layers)
    feeds = kinds(c, "mlp_layer_types", ["sparse" if i in listed(c) else "dense" for i in range(c.layers)])
    older = c.mapping("attention_other_setting").get("num_attention_heads")
    local = c.size("num_sliding_attention_heads", older if type(older) is int else c.heads)
    bias = c.flag("attention_bias")

    def layer(t: Trace, x: Tensor, kind: str, feed: str) -> Tensor:
        is_local = kind == "sliding_attention"
        shape = Heads.of(
            c, window=c.maybe("sliding_window") if is_local else None, heads=local if is_local else c.heads
        )
        attention = partial(
            grouped, shape=shape, bias=bias, qk_norm="head", qk_style="rms_one_plus", gate="g_proj",
            gate_width=shape.heads,
        )  # fmt: skip
        mlp = partial(gated, inner=c.inner, activation=activation(c), bias=c.flag("mlp_bias"))
        if feed == "sparse":
            mlp = partial(
                sparse, count=count, top_k=used, inner=c.size("moe_intermediate_size"), scoring="sigmoid",
                correction="gate.e_score_correction_bias", shared_inner=c.size("share_expert_dim"),
                shared_bias=c.flag("mlp_bias"),
            )  # fmt: skip
        return pre_norm(t, x, attention, mlp, style="rms_one_plus")

    m.embed("embed_tokens", c.vocab, c.hidden)
    m.stack(c.layers, layer, width=c.hidden, kinds=lambda i: (types[i], feeds[i]))
    m.final_norm("norm", c.hidden, style="rms_one_plus")


@family("step3p7")
def step3p7(c: Config, m: ModelBuilder) -> None:
    """Step 3.7: one linear layer between the two."""
    vision = see(c, m, "model.vision_model")
    text = language(c, m)
    bias, width = c.flag("projector_bias"), 4 * vision.hidden
    m.single(
        "projector",
        lambda t: t.linear(
            "model.multi_modal_projector", t.input(width, Axis.IMAGE_TOKENS), text.hidden, bias=bias
        ),
    )
    logits(c, m, text, tied=c.tied)


@tower("lfm3_vl_vision")
def lfm3_vision(c: Config, m: ModelBuilder) -> None:
    """LFM's short convolutions in two dimensions, attention in every second layer from the third on."""
    pixels = c.size("in_channels") * c.size("temporal_patch_size") * c.size("patch_size") ** 2
    types = c.layer_types(["conv" if i < 2 or i % 2 else "full_attention" for i in range(c.layers)])
    side = c.size("conv_kernel_size")
    shape = Heads.of(c, causal=False, cached=False)

    def convolve(t: Trace, x: Tensor) -> Tensor:
        with t.scope("conv"):
            b, gate, h = t.split(t.linear("in_proj", x, 3 * x.width), x.width, x.width, x.width, kind="chunk")
            product = t.multiply(b, h)
            h = t.convolution(
                "spatial_conv", product, x.width, kernel=(side, side), groups=x.width, bias=False
            )
            return t.linear("out_proj", t.multiply(gate, h), x.width)

    attention = partial(grouped, shape=shape, names=CLIP_NAMES, qk_norm="head", qk_names=("q_norm", "k_norm"))
    mlp = partial(gated, inner=c.inner, module="feed_forward", names=("w1", "w3", "w2"))

    def layer(t: Trace, x: Tensor, kind: str) -> Tensor:
        mixer = convolve if kind == "conv" else attention
        return pre_norm(t, x, mixer, mlp, names=("operator_norm", "ffn_norm"))

    m.single("vision", lambda t: t.linear("patch_embed", t.input(pixels, Axis.PATCHES), c.hidden))
    m.stack(c.layers, layer, width=c.hidden, axis=Axis.PATCHES, kinds=lambda i: types[i])
    norm(m, "embedding_norm", c.hidden, "rms")
    picture(m, patch=c.size("patch_size"), merge=c.size("spatial_merge_size") ** 2)


@family("lfm3_vl")
def lfm3_vl(c: Config, m: ModelBuilder) -> None:
    """LFM3-VL: patches normalised, put together in squares, two linear layers."""
    text = language(c, m)
    vision = see(c, m, "model.vision_tower")
    inner, bias = c.size("projector_hidden_size"), c.flag("projector_bias", True)

    def write(t: Trace) -> Tensor:
        x = t.norm("layer_norm", t.input(vision.hidden, Axis.PATCHES), style="layer")
        x = merged(t, x, vision.size("spatial_merge_size") ** 2)
        act = c.text("projector_hidden_act", "gelu")
        return two_layers(t, x, ("linear_1", "linear_2"), inner, text.hidden, act, bias=bias)

    project(m, "model.multi_modal_projector", write)
    logits(c, m, text)
