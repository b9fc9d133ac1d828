"""GLM-4: half of each head turned, gate and up in one matrix."""

from functools import partial

from ..blocks.attention import grouped
from ..blocks.feed_forward import fused_gated
from ..blocks.residual import sandwich
from ..builder import ModelBuilder
from ..config import Config
from .llama import activation, stack
from .registry import decoder


@decoder("glm")
def glm(c: Config, m: ModelBuilder) -> None:
    """GLM-4-9B (arXiv 2406.12793)."""
    attention = partial(grouped, bias=c.flag("attention_bias"), out_bias=False)
    stack(c, m, attention, partial(fused_gated, inner=c.inner, activation=activation(c)))


def glm4_stack(c: Config, m: ModelBuilder, *, bias: bool) -> None:
    """Norms on both sides of each half."""
    names = ("input_layernorm", "post_self_attn_layernorm", "post_attention_layernorm", "post_mlp_layernorm")
    attention = partial(grouped, bias=bias, out_bias=False)
    mlp = partial(fused_gated, inner=c.inner, activation=activation(c))
    stack(c, m, attention, mlp, wrap=sandwich, names=names)


@decoder("glm4")
def glm4(c: Config, m: ModelBuilder) -> None:
    """GLM-4-0414."""
    glm4_stack(c, m, bias=c.flag("attention_bias"))
