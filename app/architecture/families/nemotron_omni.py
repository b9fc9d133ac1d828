"""Nemotron Nano Omni: C-RADIO's tower before Nemotron-H."""

from functools import partial

from ..blocks.vision import both_ways, held, merged, two_layers, vision_layer
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .composite import language, picture, project, see, tower
from .llama import activation
from .registry import family


@tower("radio")
def radio(c: Config, m: ModelBuilder) -> None:
    """C-RADIO (arXiv 2412.07679): class tokens and registers, positions cut out of a large grid."""
    if c.hidden % c.heads:
        raise c.wrong("num_attention_heads", "config_not_divisible", value=c.heads, of=c.hidden)
    size, channels = c.size("patch_size"), c.size("num_channels")
    rows = (c.size("max_img_size") // size) ** 2
    extra = c.size("num_cls_tokens") + c.size("num_registers", least=0)
    frames = c.maybe("video_temporal_patch_size")
    heads = both_ways(c.heads, c.hidden)
    inner, is_gated = int(c.hidden * c.number("mlp_ratio")), c.flag("use_swiglu_ffn")
    if is_gated:  # two thirds, rounded up to a multiple of eight
        inner = (int(inner * 2 / 3) + 7) // 8 * 8

    def embed(t: Trace) -> Tensor:
        held(t, "position_embedding", 1, rows, c.hidden)
        held(t, "cls_register_token", extra, c.hidden)
        pixels = channels * size * size
        if frames:
            t.linear("video_patch_projection", t.input(frames * pixels, Axis.PATCHES), c.hidden)
        return t.linear("patch_projection", t.input(pixels, Axis.PATCHES), c.hidden)

    layer = partial(
        vision_layer,
        heads=heads,
        inner=inner,
        act=activation(c),
        module="attention",
        names=("q_proj", "k_proj", "v_proj", "o_proj"),
        bias=c.flag("qkv_bias", True),
        out_bias=True,
        norms=("norm1", "norm2"),
        scales=("layer_scale1.lambda1", "layer_scale2.lambda1"),
        mlp_names=("gate_proj", "up_proj", "down_proj") if is_gated else ("fc1", "fc2"),
    )
    m.single("vision", embed, name="embeddings")
    m.stack(c.layers, layer, width=c.hidden, name="encoder.layer.{}", axis=Axis.PATCHES)
    summaries = len(c.items("summary_idxs", [0, 1]) or [0, 1])
    buffer = ("summary_idxs", (summaries,))
    m.single("vision", lambda t: t.hold(t.parameter(*buffer, buffer=True, dtype="int64")))
    picture(m, patch=size, merge=4)


@family("nemotron_h_omni")
def nemotron_omni(c: Config, m: ModelBuilder) -> None:
    """Squares of patches, a squared ReLU between two layers; sound, where configured, is not described."""
    if c.get("audio_config") is not None:
        raise c.uncovered("audio_config", "its encoder of sound is not described here")
    text = language(c, m, "language_model.model")
    m.head("language_model.lm_head", m.hidden_size, text.vocab, tied=False, adapted=True)
    see(c, m, "vision_model")
    width = c.size("vision_hidden_size")
    factor, inner = int(1 / c.number("downsample_ratio", 0.5)), c.size("projector_hidden_size")

    def write(t: Trace) -> Tensor:
        x = merged(t, t.input(width, Axis.PATCHES), factor * factor)
        names = ("linear_1", "linear_2")
        return two_layers(t, t.norm("layer_norm", x), names, inner, text.hidden, "relu2", bias=False)

    project(m, "multi_modal_projector", write)
