"""Granite and HyperCLOVA X: constant factors on embedding, residual branches and logits."""

from functools import partial

from ..blocks.attention import grouped
from ..blocks.residual import pre_norm, sandwich
from ..builder import ModelBuilder
from ..config import Config
from .llama import stack, swiglu, windows
from .registry import decoder, scaled


@decoder("granite", after=scaled)
def granite(c: Config, m: ModelBuilder) -> None:
    """Granite 3 (IBM): Llama with four multipliers."""
    attention = partial(grouped, bias=c.flag("attention_bias"))
    stack(c, m, attention, swiglu(c, bias=c.flag("mlp_bias")), scale=True, embed={"scale": True})


@decoder("granite_swa", after=scaled)
def granite_swa(c: Config, m: ModelBuilder) -> None:
    """Granite with windows, attention sinks and layers without positions."""
    types = ["sliding_attention" if i % 4 else "full_attention" for i in range(c.layers)]
    thetas = c.items("layer_rope_theta") or [1] * c.layers
    if len(thetas) < c.layers:
        raise c.wrong("layer_rope_theta", "config_layer_types", value=len(thetas), layers=c.layers)
    stack(
        c,
        m,
        partial(grouped, bias=c.flag("attention_bias"), sinks=True),
        swiglu(c, bias=c.flag("mlp_bias")),
        window=windows(c, types),
        turned=[bool(theta) for theta in thetas],
        scale=True,
        embed={"scale": True},
    )


@decoder("hyperclovax", after=scaled)
def hyperclovax(c: Config, m: ModelBuilder) -> None:
    """HyperCLOVA X SEED: Granite's multipliers, and a norm behind each half where `use_post_norm`."""
    attention, mlp = partial(grouped, bias=c.flag("attention_bias")), swiglu(c, bias=c.flag("mlp_bias"))
    if c.flag("use_post_norm"):
        names = ("input_layernorm", "post_norm1", "post_attention_layernorm", "post_norm2")
        stack(c, m, attention, mlp, wrap=sandwich, names=names, scale=True, embed={"scale": True})
    else:
        stack(c, m, attention, mlp, wrap=pre_norm, scale=True, embed={"scale": True})
