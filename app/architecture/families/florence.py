"""Florence 2 (DaViT and BART), UDOP (T5 over pages), PP-FormulaNet (SAM and BART's decoder)."""

from ..blocks.attention import fused
from ..blocks.feed_forward import plain
from ..blocks.vision import both_ways, held, patches
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .bart import Line, decoder, embed, encoder, shared
from .composite import picture, project, see, tower
from .registry import family
from .t5 import decoder_layers, feed_forward, shared_embedding, write_stack
from .towers import places, sam_layers

STAGES = 2**6  # bounds what a hostile configuration may ask for


def stages(c: Config, name: str, count: int | None = None) -> list[int]:
    """A whole number for each stage of the tower."""
    values = c.items(name) or []
    right = len(values) == count if count else 0 < len(values) <= STAGES
    if not right or not all(type(value) is int and 0 < value < 2**20 for value in values):
        raise c.wrong(name, "config_layer_types", value=len(values), layers=count or STAGES)
    return values


def half_block(t: Trace, x: Tensor, heads: int, c: Config, kind: str) -> Tensor:
    """A depthwise convolution, attention over windows (or over channels), another, a feed-forward block."""
    inner = int(x.width * c.number("mlp_ratio"))
    with t.scope(f"{kind}_block"):
        x = t.add(x, t.convolution("conv1", x, x.width, kernel=(3, 3), groups=x.width))
        module = "window_attn" if kind == "spatial" else "channel_attn"
        shape = both_ways(heads, x.width, window=c.size("window_size", 12) ** 2)
        mixed = fused(
            t,
            t.norm("norm1", x, style="layer"),
            shape,
            module=module,
            names=("qkv", "proj"),
            bias=c.flag("qkv_bias", True),
            out_bias=True,
        )
        x = t.add(x, mixed)
        x = t.add(x, t.convolution("conv2", x, x.width, kernel=(3, 3), groups=x.width))
        fed = plain(
            t,
            t.norm("norm2", x, style="layer"),
            inner,
            module="ffn",
            names=("fc1", "fc2"),
            activation=c.text("activation_function", "gelu"),
        )
        return t.add(x, fed)


@tower("florence_vision")
def davit(c: Config, m: ModelBuilder) -> None:
    """DaViT (arXiv 2204.03645): stages, each coarser and wider than the one before."""
    widths = stages(c, "embed_dim")
    count = len(widths)
    depths, heads, kernels = (stages(c, name, count) for name in ("depths", "num_heads", "patch_size"))
    before = c.items("patch_prenorm") or [False, *[True] * (count - 1)]
    fan_in = c.size("in_channels", 3)
    for i, width in enumerate(widths):
        if width % heads[i]:
            raise c.wrong("num_heads", "config_not_divisible", value=heads[i], of=width)

        def enter(t: Trace, i: int = i, width: int = width, fan_in: int = fan_in) -> Tensor:
            x = t.input(fan_in, Axis.PATCHES)
            if i < len(before) and before[i]:
                x = t.norm("norm", x, style="layer")
            x = t.convolution("conv", x, width, kernel=(kernels[i], kernels[i]))
            return x if i < len(before) and before[i] else t.norm("norm", x, style="layer")

        def layer(t: Trace, x: Tensor, i: int = i) -> Tensor:
            return half_block(t, half_block(t, x, heads[i], c, "spatial"), heads[i], c, "channel")

        m.single("vision", enter, name=f"convs.{i}")
        m.stack(depths[i], layer, width=width, name=f"blocks.{i}.{{}}", axis=Axis.PATCHES)
        fan_in = width
    picture(m, patch=32, merge=1, tokens=577)


@family("florence2")
def florence2(c: Config, m: ModelBuilder) -> None:
    """Florence 2 (arXiv 2311.06242)."""
    vision = see(c, m, "model.vision_tower")
    text = c.sub("text_config")
    if text.model_type != "bart":
        raise text.uncovered("model_type", "its language model is not described here")
    width, out = stages(vision, "embed_dim")[-1], vision.size("projection_dim")
    rows = vision.size("max_position_embeddings")

    def write(t: Trace) -> Tensor:
        t.hold(
            t.parameter(
                "visual_temporal_embed.pos_idx_to_embed",
                (vision.size("max_temporal_embeddings"), width),
                buffer=True,
            )
        )
        held(t, "image_position_embed.row_embeddings.weight", rows, width // 2)
        held(t, "image_position_embed.column_embeddings.weight", rows, width - width // 2)
        x = t.linear("image_projection", t.input(width, Axis.IMAGE_TOKENS), out)
        return t.norm("image_proj_norm", x, style="layer")

    project(m, "model.multi_modal_projector", write)
    line = Line()
    with m.prefix("model.language_model"):
        shared(text, m)
        for part, stack in (("encoder", encoder), ("decoder", decoder)):
            with m.prefix(part):
                embed(text, m, line, part, rows=text.vocab, tied=text.tied)
                with m.component("encoder" if part == "encoder" else ""):
                    stack(text, m, line)
    m.notes["kind"] = "encoder_decoder"
    m.head("lm_head", text.size("d_model"), text.vocab, tied=c.tied)


@family("udop")
def udop(c: Config, m: ModelBuilder) -> None:
    """UDOP (arXiv 2212.02623): words, boxes and patches of a page through T5; always tied."""
    width = c.size("d_model")
    feed = feed_forward(c, "DenseReluDense")
    kinds = c.items("relative_bias_args") or [{"type": "1d"}, {"type": "horizontal"}, {"type": "vertical"}]
    buckets = (c.size("relative_attention_num_buckets"), c.size("num_heads"))

    def pixels(t: Trace) -> Tensor:
        return patches(t, "proj", c.size("num_channels", 3), width, c.pair("patch_size"))

    def biases(m: ModelBuilder) -> None:
        for index in range(1, min(len(kinds), STAGES)):
            m.single(
                "encoder",
                lambda t, index=index: held(  # type: ignore[misc]
                    t, f"relative_bias.biases.{index}.relative_attention_bias.weight", *buckets
                ),
            )

    m.notes["kind"] = "encoder_decoder"
    m.single("vision", pixels, name="patch_embed")
    shared_embedding(c, m, tied=True)
    with m.component("encoder"), m.prefix("encoder"):
        write_stack(c, m, c.count("num_layers"), lambda sparse: feed, decodes=False)
        for side in "xy":
            m.single(
                "encoder",
                lambda t, side=side: t.embedding(  # type: ignore[misc]
                    f"cell_2d_embedding.{side}_position_embeddings",
                    c.size("max_2d_position_embeddings"),
                    width,
                    axis=Axis.SOURCE,
                ),
            )
        biases(m)
    with m.prefix("decoder"):
        m.single("vision", pixels, name="embed_patches")
        write_stack(c, m, decoder_layers(c), lambda sparse: feed, decodes=True)
        biases(m)
    m.head("lm_head", width, c.vocab, tied=True)
    picture(m, size=c.pair("image_size"), patches=places(c), tokens=places(c))


@tower("pp_formulanet_vision")
def formula_vision(c: Config, m: ModelBuilder) -> None:
    """SAM's tower, two convolutions, two linear layers."""
    sam_layers(c, m, c.size("mlp_dim"))
    channels, out = c.size("post_conv_in_channels"), c.size("decoder_hidden_size")

    def write(t: Trace) -> Tensor:
        x = t.convolution(
            "conv1",
            t.input(channels, Axis.PATCHES),
            c.size("post_conv_mid_channels"),
            kernel=(3, 3),
            bias=False,
        )
        x = t.convolution("conv2", x, c.size("post_conv_out_channels"), kernel=(3, 3), bias=False)
        return t.linear("linear_2", t.linear("linear_1", x, x.width, bias=True), out, bias=True)

    m.single("projector", write, name="multi_modal_projector")


@family("pp_formulanet")
def formula_net(c: Config, m: ModelBuilder) -> None:
    """PP-FormulaNet (arXiv 2503.18382): formulas read by mBART's decoder."""
    text = c.sub("text_config")
    line = Line(pre=True, final_norm="layer_norm", logits_bias=False)
    m.hidden_size, m.vocab_size = text.size("d_model"), text.vocab
    see(c, m, "model.encoder")
    with m.prefix("model.decoder"):
        embed(text, m, line, "decoder", rows=text.vocab, tied=False)
        decoder(text, m, line)
    m.head("lm_head", text.size("d_model"), text.vocab, tied=False)
    m.notes["kind"] = "encoder_decoder"
