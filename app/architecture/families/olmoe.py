"""OLMoE and FlexOlmo: whole rows of queries and keys normalised, experts in every layer."""

from functools import partial

from ..blocks.attention import Heads, grouped
from ..blocks.residual import post_norm
from ..builder import ModelBuilder
from ..config import Config
from .mixtures import experts, layers
from .registry import decoder


@decoder("olmoe")
def olmoe(c: Config, m: ModelBuilder) -> None:
    """OLMoE (arXiv 2409.02060)."""
    attention = partial(
        grouped,
        shape=Heads.of(c),
        bias=c.flag("attention_bias"),
        qk_norm="full",
        clip=c.get("clip_qkv") is not None,
    )
    layers(c, m, lambda kind: attention, lambda kind: experts(c, inner="intermediate_size"))


@decoder("flex_olmo")
def flex_olmo(c: Config, m: ModelBuilder) -> None:
    """FlexOlmo (arXiv 2507.07024): OLMo 2's norms behind both halves."""
    attention = partial(
        grouped, shape=Heads.of(c), bias=c.flag("attention_bias"), qk_norm="full", qk_style="rms_wide"
    )
    layers(
        c,
        m,
        lambda kind: attention,
        lambda kind: experts(c, inner="intermediate_size"),
        wrap=post_norm,
        style="rms_wide",
    )
