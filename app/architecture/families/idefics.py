"""Idefics 1 (arXiv 2306.16527): Llama with gated layers between its own that attend to pictures."""

from functools import partial

from ..blocks.attention import Heads, grouped
from ..blocks.cross import cross_attention
from ..blocks.feed_forward import gated, plain
from ..blocks.residual import pre_norm
from ..blocks.vision import held, scaled
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .composite import see, tower
from .llama import activation
from .registry import family
from .towers import clip

NAMES = ("q_proj", "k_proj", "v_proj", "o_proj")
QK = ("q_layer_norm", "k_layer_norm")


@tower("idefics_vision")
def idefics_vision(c: Config, m: ModelBuilder) -> None:
    """CLIP's tower."""
    clip(c, m)


def resampler(p: Config, m: ModelBuilder, width: int) -> None:
    """Learned latents that attend to the patches (Perceiver, arXiv 2103.03206)."""
    heads = p.size("resampler_n_heads")
    shape = Heads(heads, heads, p.size("resampler_head_dim"), rotary_dim=0, causal=False, cached=False)
    qk = "head" if p.flag("qk_layer_norms_perceiver") else None

    def layer(t: Trace, x: Tensor) -> Tensor:
        with t.scope("0"):
            t.norm("context_layer_norm", t.input(width, Axis.PATCHES), style="layer")
            mixed = cross_attention(
                t,
                t.norm("latents_layer_norm", x, style="layer"),
                shape,
                module="",
                axis=Axis.PATCHES,
                names=("q_proj", "k_proj", "v_proj", "output_proj"),
                qk_norm=qk,
                qk_style="layer",
                qk_names=QK,
            )
        x = t.add(x, mixed)
        with t.scope("1"):
            normed = t.norm("ln", x, style="layer")
            return t.add(
                x,
                plain(t, normed, 4 * width, module="", names=("fc", "c_proj"), activation="relu", bias=False),
            )

    m.single("projector", lambda t: held(t, "latents", p.size("resampler_n_latents"), width))
    m.stack(p.count("resampler_depth"), layer, width=width, name="blocks.{}", axis=Axis.IMAGE_TOKENS)
    m.single("projector", lambda t: t.norm("layer_norm", t.input(width, Axis.IMAGE_TOKENS), style="layer"))


@family("idefics")
def idefics(c: Config, m: ModelBuilder) -> None:
    """A gated layer before every `cross_layer_interval`-th of the language model's."""
    extra = c.size("additional_vocab_size", 0, least=0)
    shape, vision = Heads.of(c, kv_heads=c.heads), c.sub("vision_config")
    qk = "head" if c.flag("qk_layer_norms") else None
    every, width = c.size("cross_layer_interval", 1), vision.size("embed_dim")
    gates = (1, 1, c.hidden) if c.text("alpha_type", "float") == "vector" else (1,)
    mlp = partial(gated, inner=c.inner, activation=activation(c))

    def crossed(t: Trace, x: Tensor) -> Tensor:
        normed = t.norm("input_layernorm", x)
        mixed = cross_attention(
            t, normed, shape, module="cross_attn", names=NAMES, source=width, qk_norm=qk, qk_names=QK
        )
        x = t.add(x, scaled(t, mixed, "alpha_cross_attn", gates))
        return t.add(x, scaled(t, mlp(t, t.norm("post_attention_layernorm", x)), "alpha_dense", gates))

    attention = partial(grouped, shape=shape)
    with m.prefix("model"):
        m.embed("embed_tokens", c.vocab, c.hidden)
        if extra:
            m.single(
                "embedding", lambda t: held(t, "embed_tokens.additional_embedding.weight", extra, c.hidden)
            )
        see(c, m, "vision_model")
        if c.flag("use_resampler"):
            with m.component("projector"), m.prefix("perceiver_resampler"):
                resampler(c.sub("perceiver_config"), m, width)
        m.stack(c.layers, lambda t, x: pre_norm(t, x, attention, mlp), width=c.hidden)
        m.stack(max(1, c.layers // every), crossed, width=c.hidden, name="gated_cross_attn_layers.{}")
        m.final_norm("norm", c.hidden)
    m.head("lm_head", c.hidden, c.vocab, tied=c.tied)
    if extra:
        m.single("head", lambda t: t.linear("lm_head.additional_fc", t.input(c.hidden), extra, tied=c.tied))
    m.notes["kind"] = "image_text"
