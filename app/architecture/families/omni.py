"""Models that see and hear: Qwen2.5-Omni's thinker, Qwen3-ASR, Cosmos, Inkling 2, Pi-0, Gemma 4 unified."""

from functools import partial

from ..blocks.attention import Heads, grouped
from ..blocks.feed_forward import plain
from ..blocks.latent import Latent, latent
from ..blocks.residual import pre_norm
from ..blocks.vision import both_ways, held, merged, positions, two_layers
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .bart import Line, encoder
from .composite import language, logits, picture, project, see, tower
from .deepseek import dense_first, stack
from .llama import activation
from .registry import BODIES, TOWERS, body, decoder, family
from .towers import norm, plain_layers
from .whisper import heard, stem

LINEARS = ("linear_1", "linear_2")


@decoder("mistral4")
def mistral4(c: Config, m: ModelBuilder) -> None:
    """Mistral Small 4: latent attention and shared experts, softmax scores."""
    attention = partial(latent, shape=Latent.of(c), bias=c.flag("attention_bias"))
    stack(c, m, attention, dense_first(c), correction=None, scoring="softmax")


@tower("qwen2_5_omni_audio_encoder")
def omni_audio(c: Config, m: ModelBuilder) -> None:
    """Whisper's layers over windows, then a projection; marks for where sound begins and ends."""
    width, out = c.size("d_model"), c.size("output_dim")
    m.single("audio", lambda t: stem(c, t, width))
    m.single("audio", lambda t: held(t, "audio_bos_eos_token.weight", 2, out))
    encoder(c, m, Line(pre=True, key_bias=False))
    m.single("audio", lambda t: t.norm("ln_post", t.input(width, Axis.SOURCE), style="layer"))
    m.single("audio", lambda t: t.linear("proj", t.input(width, Axis.SOURCE), out, bias=True))
    m.notes["audio"] = {"window": 2 * c.size("n_window")}


def write_thinker(c: Config, m: ModelBuilder, *, adapted: bool = False) -> None:
    """What hears, sees and answers in text; `adapted`: whether adapters take its head."""
    see(c, m, "model.audio_tower", "audio_config", component="audio")
    see(c, m, "model.visual")
    text = language(c, m)
    logits(c, m, text, adapted=adapted)


@family("qwen2_5_omni_thinker", "qwen3_omni_moe_thinker")
def thinker(c: Config, m: ModelBuilder) -> None:
    """Qwen2.5-Omni and Qwen3-Omni (arXiv 2503.20215, 2509.17765) without the talker."""
    write_thinker(c, m)


@tower("qwen3_asr_encoder", "qwen3_omni_moe_audio_encoder")
def qwen3_audio(c: Config, m: ModelBuilder) -> None:
    """Three convolutions over mel frames, then Whisper's layers."""
    width, middle = c.size("d_model"), c.size("downsample_hidden_size")
    bins = c.size("num_mel_bins")
    for _ in range(3):
        bins = (bins + 1) // 2

    def write(t: Trace) -> Tensor:
        x = t.convolution("conv2d1", t.input(1, Axis.SOURCE), middle, kernel=(3, 3))
        for name in ("conv2d2", "conv2d3"):
            x = t.convolution(name, t.elementwise("gelu", x), middle, kernel=(3, 3))
        return t.linear("conv_out", t.input(middle * bins, Axis.SOURCE), width)

    m.single("audio", write)
    encoder(c, m, Line(pre=True))
    m.single("audio", lambda t: t.norm("ln_post", t.input(width, Axis.SOURCE), style="layer"))
    if c.model_type == "qwen3_omni_moe_audio_encoder":
        m.single(
            "audio",
            lambda t: two_layers(
                t, t.input(width, Axis.SOURCE), ("proj1", "proj2"), width, c.size("output_dim"), "gelu"
            ),
        )


@family("qwen3_asr")
def qwen3_asr(c: Config, m: ModelBuilder) -> None:
    """Qwen3-ASR."""
    audio, text = heard(c, m)
    width = audio.size("d_model")
    project(
        m,
        "model.multi_modal_projector",
        lambda t: two_layers(
            t, t.input(width, Axis.IMAGE_TOKENS), LINEARS, width, audio.size("output_dim"), "gelu"
        ),
    )
    logits(c, m, text)


@tower("cosmos3_edge_vision")
def cosmos_vision(c: Config, m: ModelBuilder) -> None:
    """SigLIP 2 without a head."""
    pixels = c.size("num_channels", 3) * c.size("patch_size", 16) ** 2
    count = c.size("num_patches", 256)

    def embed(t: Trace) -> Tensor:
        x = t.linear("patch_embedding", t.input(pixels, Axis.PATCHES), c.hidden, bias=True)
        return positions(t, x, "position_embedding", count)

    m.single("vision", embed, name="embeddings")
    plain_layers(c, m)
    norm(m, "post_layernorm", c.hidden)
    picture(m, patch=c.size("patch_size", 16), merge=c.size("spatial_merge_size", 2) ** 2)


@body("cosmos3_edge_text")
def cosmos_text(c: Config, m: ModelBuilder) -> None:
    """Llama's layers with a plain feed-forward block."""
    attention = partial(grouped, shape=Heads.of(c), bias=c.flag("attention_bias"))
    mlp = partial(
        plain, inner=c.inner, names=("fc1", "fc2"), activation=activation(c), bias=c.flag("mlp_bias")
    )
    m.embed("embed_tokens", c.vocab, c.hidden)
    m.stack(c.layers, lambda t, x: pre_norm(t, x, attention, mlp), width=c.hidden)
    m.final_norm("norm", c.hidden)


@family("cosmos3_edge")
def cosmos_edge(c: Config, m: ModelBuilder) -> None:
    """Cosmos 3 Edge: squares of patches through two layers."""
    vision = see(c, m, "model.visual")
    text = language(c, m)
    inner = c.size("projector_hidden_size", 11520)

    def write(t: Trace) -> Tensor:
        x = t.norm("norm", t.input(vision.hidden, Axis.PATCHES), style="layer")
        x = merged(t, x, vision.size("spatial_merge_size", 2) ** 2)
        return two_layers(t, x, ("linear_fc1", "linear_fc2"), inner, text.hidden, "gelu")

    project(m, "model.projector", write)
    logits(c, m, text, tied=False)


@tower("inkling2_vision")
def inkling_vision(c: Config, m: ModelBuilder) -> None:
    """A tower with a class token, layer scale, and a merger of its own."""
    size = c.size("patch_size", 20)
    out, merge = c.size("text_hidden_size"), c.size("spatial_merge_size", 2) ** 2

    def embed(t: Trace) -> Tensor:
        held(t, "class_embedding", c.hidden)
        held(t, "cls_position_embedding", c.hidden)
        x = t.linear(
            "patch_embedding", t.input(c.size("num_channels", 3) * size * size, Axis.PATCHES), c.hidden
        )
        return positions(t, x, "position_embedding", c.size("posemb_grid_size") ** 2)

    def shrink(t: Trace) -> Tensor:
        x = merged(t, t.input(c.hidden, Axis.PATCHES), merge)
        return two_layers(
            t, x, LINEARS, c.size("projection_hidden_dim"), out, "gelu", bias=c.flag("projector_bias")
        )

    m.single("vision", embed, name="embeddings")
    norm(m, "pre_layernorm", c.hidden)
    inner = c.size("intermediate_size", int(c.hidden * c.number("mlp_ratio", 4.0)))
    plain_layers(
        c,
        m,
        "layers.{}",
        norms=("layernorm_before", "layernorm_after"),
        scales=("lambda_1", "lambda_2"),
        inner=inner,
        heads=both_ways(c.heads, c.hidden, turned=True),
    )
    m.single("vision", shrink, name="merger")
    picture(m, patch=size, merge=merge)


@family("inkling2")
def inkling2(c: Config, m: ModelBuilder) -> None:
    """Inkling 2."""
    text = language(c, m)
    see(c, m, "model.vision_tower")
    logits(c, m, text)


@family("gemma4_unified")
def gemma4_unified(c: Config, m: ModelBuilder) -> None:
    """Gemma 4 without towers; pictures and sound, where configured, are not described."""
    for key in ("vision_config", "audio_config"):
        if c.get(key) is not None:
            raise c.uncovered(key, "pictures and sound without an encoder are not described here")
    text = language(c, m)
    logits(c, m, text)


@family("pi0")
def pi0(c: Config, m: ModelBuilder) -> None:
    """Pi-0 (arXiv 2410.24164): PaliGemma, and a smaller Gemma that denoises a robot's actions."""
    actor, vlm = c.sub("dit_config"), c.sub("vlm_config")
    vision, text = vlm.sub("vision_config"), vlm.sub("text_config")
    known = {actor.model_type, text.model_type} <= BODIES.keys() and vision.model_type in TOWERS
    if not known or vlm.model_type != "paligemma":
        raise c.uncovered("vlm_config", "its parts are not described here")
    actor = Config({**actor.data, "vocab_size": text.vocab}, actor.model_type, actor.path)
    with m.component("decoder"), m.prefix("model.dit"):
        BODIES[actor.model_type](actor, m)
    with m.component("vision"), m.prefix("model.vlm.vision_tower"):
        TOWERS[vision.model_type](vision, m)
    width = vision.size("projection_dim", vlm.size("projection_dim", 2048))
    project(
        m,
        "model.vlm.multi_modal_projector",
        lambda t: t.linear("linear", t.input(vision.hidden, Axis.IMAGE_TOKENS), width, bias=True),
    )
    with m.prefix("model.vlm.language_model"):
        BODIES[text.model_type](text, m)
    act = c.size("max_action_dim")

    def embed(t: Trace) -> Tensor:
        x = t.linear("action_in_proj", t.input(act, Axis.TOKENS), actor.hidden, bias=True)
        t.linear("state_proj", t.input(c.size("max_state_dim"), Axis.BATCH), actor.hidden, bias=True)
        x = t.linear("action_time_mlp_in", t.concat(x, t.input(actor.hidden)), actor.hidden, bias=True)
        return t.linear("action_time_mlp_out", t.elementwise("silu", x), actor.hidden, bias=True)

    m.single("projector", embed, name="embed_action_time")
    m.single("head", lambda t: t.linear("action_out_proj", t.input(actor.hidden), act, bias=True))
    m.notes["kind"] = "image_text"
