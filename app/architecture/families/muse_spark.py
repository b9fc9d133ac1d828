"""Muse Spark: gated residuals around gated attention and narrow experts, a tower each for sight and sound."""

from functools import partial

from ..blocks.attention import Heads, grouped
from ..blocks.feed_forward import fused_experts, gated, router
from ..blocks.vision import two_layers
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Role, Tensor
from ..trace import Trace
from .composite import language, logits, project, see, tower
from .llama import activation
from .mixtures import Half, chosen, kinds, window_of
from .muse import muse_vision
from .registry import body, family

STYLE = "rms_one_plus"

tower("muse_spark_vision")(muse_vision)


def last_counted(c: Config) -> list[bool]:
    """Which layers are local by default: all but every fourth, counted from the last."""
    return [bool((c.layers - 1 - i) % 4) for i in range(c.layers)]


def turned_layers(c: Config) -> list[bool]:
    """Which layers have positions: by `layer_rope_theta`, where 0 turns them off, else the local ones."""
    stated = c.items("layer_rope_theta")
    if stated is None:
        return last_counted(c)
    if len(stated) < c.layers:
        raise c.wrong("layer_rope_theta", "config_layer_types", value=len(stated), layers=c.layers)
    return [bool(theta) for theta in stated[: c.layers]]


def residual_gate(t: Trace, x: Tensor, branch: Tensor, name: str) -> Tensor:
    """alpha x + beta branch; both factors come out of one learned number for each channel."""
    t.hold(t.parameter(f"{name}.gate", (x.width,)))
    return t.add(t.elementwise("scale", x), t.elementwise("scale", branch))


def mixture(c: Config) -> Half:
    """Experts that work at a width of their own; each one's output is normalised."""
    count, used = chosen(c, "num_local_experts", "num_experts_per_tok")
    width, inner = c.size("moe_hidden_size"), c.size("moe_intermediate_size")

    def write(t: Trace, x: Tensor) -> Tensor:
        with t.scope("mlp"):
            correction = "gate.e_score_correction_bias"
            weights = router(t, x, count, used, correction=correction, scoring="sigmoid")
            low = t.norm("pre_expert_norm", t.linear("pre_expert_proj", x, width), style=STYLE)
            out = fused_experts(
                t, low, weights, count=count, top_k=used, inner=inner, activation=activation(c)
            )
            out = t.norm("experts.post_expert_norm", out, style=STYLE)
            return t.linear("post_expert_proj", out, x.width)

    return write


@body("muse_spark_text")
def muse_spark_text(c: Config, m: ModelBuilder) -> None:
    """Heads normalised without weights before and behind attention, gated outputs and residuals."""
    local = ["sliding_attention" if near else "full_attention" for near in last_counted(c)]
    types, turned = kinds(c, "layer_types", local), turned_layers(c)
    feeds = kinds(c, "mlp_layer_types", ["sparse"] * c.layers)
    dense = partial(gated, inner=c.inner, activation=activation(c))

    def layer(t: Trace, x: Tensor, kind: str, is_turned: bool, feed: str) -> Tensor:
        shape = Heads.of(c, window=window_of(c, kind), **({} if is_turned else {"rotary_dim": 0}))
        mixed = grouped(
            t, t.norm("input_layernorm", x, style=STYLE), shape, bias=c.flag("attention_bias"),
            qk_norm="head", qk_weight=False, gate="gate_proj", query_scale=True,
        )  # fmt: skip
        mixed = t.norm("post_attention_layernorm", mixed, style="rms_plain")
        x = residual_gate(t, x, mixed, "post_attention_residual_gate")
        mlp = mixture(c) if feed == "sparse" else dense
        fed = mlp(t, t.norm("pre_feedforward_layernorm", x, style=STYLE))
        fed = t.norm("post_feedforward_layernorm", fed, style=STYLE)
        return residual_gate(t, x, fed, "post_feedforward_residual_gate")

    m.embed("embed_tokens", c.vocab, c.hidden, norm="embed_tokens.embed_norm", style="rms_plain")
    m.stack(c.layers, layer, width=c.hidden, kinds=lambda i: (types[i], turned[i], feeds[i]))
    m.final_norm("norm", c.hidden, style=STYLE)


@tower("muse_spark_audio")
def muse_spark_audio(c: Config, m: ModelBuilder) -> None:
    """A pyramid of causal convolutions over the waveform itself."""
    stages = c.layers
    sizes, steps, depths = (c.items(name) or [] for name in ("hidden_sizes", "patch_sizes", "depths"))
    for name, found in (("hidden_sizes", sizes), ("patch_sizes", steps), ("depths", depths)):
        if len(found) != stages or not all(type(n) is int and 0 < n <= 1 << 20 for n in found):
            raise c.wrong(name, "config_layer_types", value=len(found), layers=stages)
    kernel, ratio = c.size("conv_kernel_size"), c.number("mlp_ratio")

    def block(t: Trace, x: Tensor) -> Tensor:
        mixed = t.convolution("conv", x, x.width, kernel=(kernel,), groups=x.width)
        names = ("mlp.fc1", "mlp.fc2")
        return t.add(
            x, two_layers(t, t.norm("norm", mixed), names, int(x.width * ratio), x.width, activation(c))
        )

    def embed(t: Trace, stage: int) -> Tensor:
        before = sizes[stage - 1] if stage else 1
        x = t.linear("proj", t.input(before * steps[stage], Axis.SOURCE), sizes[stage], bias=True)
        return t.norm("norm", x)

    for stage in range(stages):
        with m.prefix(f"layers.{stage}"):
            m.single("audio", partial(embed, stage=stage), name="patch_embedder")
            name = "conv_blocks.{}"
            m.stack(depths[stage], block, width=sizes[stage], axis=Axis.SOURCE, name=name)
    out = c.size("out_hidden_size")

    def end(t: Trace) -> Tensor:
        x = t.norm("norm", t.input(sizes[-1], Axis.SOURCE))
        return t.norm("post_proj_norm", t.linear("proj", x, out, bias=True))

    m.single("audio", end)


@family("muse_spark")
def muse_spark(c: Config, m: ModelBuilder) -> None:
    """Muse Spark: squares of patches through three layers; sound comes out as wide as the text."""
    see(c, m, "model.vision_tower")
    text = language(c, m)
    wide, inner = c.size("out_hidden_size"), c.size("projector_hidden_size")
    act = c.text("projector_hidden_act", "gelu")

    def adapt(t: Trace) -> Tensor:
        x = t.input(wide, Axis.IMAGE_TOKENS)
        x = two_layers(t, x, ("vision_adapter.fc1", "vision_adapter.fc2"), inner, inner, act, bias=False)
        x = t.linear("vision_projection", t.elementwise(act, x), text.hidden, role=Role.LINEAR)
        return t.norm("perception_emb_norm", x, style="rms_plain")

    project(m, "model", adapt)
    see(c, m, "model.audio_tower", "audio_config", component="audio")
    logits(c, m, text, after=("scale", "scale", "tanh", "scale"))
