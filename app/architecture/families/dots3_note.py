"""dots3 Note: a vision tower with ever more experts, an audio tower, the text model between them."""

from collections.abc import Mapping

from ..blocks.attention import Heads, fused, grouped
from ..blocks.feed_forward import fused_gated, gated, sparse
from ..blocks.vision import both_ways, merged, patches, two_layers
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .composite import language, logits, picture, see, tower
from .llama import activation
from .mixtures import chosen
from .registry import family
from .towers import norm

# Experts of each layer where the file says nothing (`Dots3NoteVisionConfig.__post_init__`); 0: none.
PYRAMID = (*([0] * 25), *range(4, 65, 4), 64)


def experts_by_layer(c: Config) -> list[tuple[int, int]]:
    """How many experts each layer has and uses; (0, 0) for a dense one."""
    counts, types = c.items("pyramid_num_routed"), c.items("mlp_layer_types")
    if counts is None and types is None:
        counts = list(PYRAMID)
    used = c.size("num_experts_per_tok", c.size("capacity_factor", 2))
    if counts is not None:
        if not all(type(n) is int and n <= 1 << 14 for n in counts) or len(counts) < c.layers:
            raise c.wrong("pyramid_num_routed", "config_layer_types", value=len(counts), layers=c.layers)
        stated = [(max(0, n), min(used, max(0, n))) for n in counts[: c.layers]]
    else:
        if len(types or []) < c.layers:
            raise c.wrong("mlp_layer_types", "config_layer_types", value=len(types or []), layers=c.layers)
        usual = chosen(c, "num_local_experts", "num_experts_per_tok", few=used)
        stated = [usual if kind == "sparse" else (0, 0) for kind in (types or [])[: c.layers]]
    own = c.mapping("per_layer_config")
    return [layer_experts(c, own.get(str(i)), found) for i, found in enumerate(stated)]


def layer_experts(c: Config, own: object, otherwise: tuple[int, int]) -> tuple[int, int]:
    """The experts of a layer that `per_layer_config` has fields for."""
    if not isinstance(own, Mapping) or not otherwise[0]:
        return otherwise
    view = Config(own, c.model_type, c.path)
    stated = {name: own.get(name) for name in ("num_local_experts", "num_experts_per_tok")}
    if stated["num_local_experts"] is None:
        return otherwise
    return chosen(view, "num_local_experts", "num_experts_per_tok", few=otherwise[1])


@tower("dots3_note_vision_encoder")
def vision(c: Config, m: ModelBuilder) -> None:
    """Qwen's layers with normalised heads; the later ones have experts."""
    width = c.maybe("embed_dim") or c.hidden
    heads = c.maybe("num_heads") or c.heads
    if width % heads:
        raise c.wrong("num_attention_heads", "config_not_divisible", value=heads, of=width)
    shape = both_ways(heads, width, turned=True, dropout=c.number("attention_dropout", 0.0))
    bias, sparse_inner = c.flag("use_bias", c.flag("attention_bias")), c.size("moe_intermediate_size")
    experts = experts_by_layer(c)

    def embed(t: Trace) -> Tensor:
        x = patches(t, "patch_embed.proj", c.size("num_channels"), width, c.pair("patch_size"))
        return t.norm("patch_embed.norm", x)

    def layer(t: Trace, x: Tensor, count: int, used: int) -> Tensor:
        mixed = fused(
            t, t.norm("norm1", x), shape, module="attn", names=("qkv", "proj"), bias=bias, qk_norm="head"
        )
        x = t.add(x, mixed)
        normed = t.norm("norm2", x)
        if not count:
            return t.add(x, gated(t, normed, c.inner, activation=activation(c), bias=c.flag("mlp_bias")))
        return t.add(
            x,
            sparse(
                t, normed, count=count, top_k=used, inner=sparse_inner, activation=activation(c),
                correction="e_score_correction_bias", scoring="sigmoid",
            ),
        )  # fmt: skip

    def merger(t: Trace) -> Tensor:
        x = t.norm("ln_q", t.input(width, Axis.PATCHES), style="layer")
        x = merged(t, x, c.size("adapter_merge_size", 2) ** 2)
        return two_layers(t, x, ("mlp.0", "mlp.2"), x.width, c.size("adapter_out_dim"), "gelu")

    m.single("vision", embed)
    m.stack(c.layers, layer, width=width, name="blocks.{}", axis=Axis.PATCHES, kinds=lambda i: experts[i])
    m.single("vision", merger, name="merger")
    norm(m, "norm", width, "rms")
    picture(m, patch=c.size("patch_size"), merge=c.size("spatial_merge_size") ** 2)


# Whisper's names in the first published files.
OLDER = {
    "hidden_size": "d_model",
    "num_attention_heads": "encoder_attention_heads",
    "num_hidden_layers": "encoder_layers",
    "intermediate_size": "encoder_ffn_dim",
    "feature_size": "num_mel_bins",
}


@tower("dots3_note_audio_encoder")
def audio(c: Config, m: ModelBuilder) -> None:
    """Three convolutions over mel frames, rotary layers with gated blocks, two layers to the text."""
    older = c.mapping("whisper_config")
    renamed = {name: older[old] for name, old in OLDER.items() if old in older}
    c = Config({**c.data, **renamed}, c.model_type, c.path)
    width, middle, bias = c.hidden, c.size("downsample_hidden_size"), c.flag("attention_bias", True)
    if width % c.heads:
        raise c.wrong("num_attention_heads", "config_not_divisible", value=c.heads, of=width)
    shape = Heads(c.heads, c.heads, width // c.heads, rotary_dim=width // c.heads // 2,
                  causal=False, cached=False)  # fmt: skip
    names = ("q_proj", "k_proj", "v_proj", "o_proj")

    def stem(t: Trace) -> Tensor:
        x = t.input(1, Axis.SOURCE)
        for i in range(3):
            x = t.elementwise("gelu", t.convolution(f"convs.{i}", x, middle, kernel=(3, 3)))
        return t.linear("conv_out", t.input(middle * ((c.size("feature_size") + 7) // 8), Axis.SOURCE), width)

    def layer(t: Trace, x: Tensor) -> Tensor:
        normed = t.norm("input_layernorm", x)
        x = t.add(x, grouped(t, normed, shape, names=names, bias=bias, key_bias=False, out_bias=bias))
        normed = t.norm("post_attention_layernorm", x)
        return t.add(x, fused_gated(t, normed, c.inner, activation=activation(c), bias=True))

    def adapter(t: Trace) -> Tensor:
        x = t.norm("norm", t.input(width, Axis.SOURCE), style="layer")
        out = c.maybe("whisper_adapter_out_dim") or c.size("adapter_out_dim")
        return two_layers(t, x, ("fc1", "fc2"), out, out, "gelu")

    m.single("audio", stem, name="conv_stem")
    m.stack(c.layers, layer, width=width, axis=Axis.SOURCE)
    m.single("audio", lambda t: t.norm("layer_norm", t.input(width, Axis.SOURCE)))
    m.single("audio", adapter, name="adapter")


@family("dots3_note")
def dots3_note(c: Config, m: ModelBuilder) -> None:
    """dots3 Note: both towers end as wide as the text."""
    text = language(c, m)
    see(c, m, "model.vision_tower")
    see(c, m, "model.audio_tower", "audio_config", component="audio")
    logits(c, m, text)
