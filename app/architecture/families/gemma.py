"""Gemma: scaled embedding, 1 + weight norms; norms on both sides, local and global layers from 2 on."""

from collections.abc import Callable
from functools import partial
from typing import Any

from ..blocks.attention import Heads, grouped
from ..blocks.feed_forward import gated
from ..blocks.residual import pre_norm, sandwich
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Tensor
from .llama import activation, every, stack, windows
from .registry import decoder


@decoder("gemma")
def gemma(c: Config, m: ModelBuilder) -> None:
    """Gemma (arXiv 2403.08295); its configurations say gelu and mean the tanh approximation."""
    act = activation(c)
    mlp = partial(gated, inner=c.inner, activation="gelu_pytorch_tanh" if act == "gelu" else act)
    attention = partial(grouped, bias=c.flag("attention_bias"))
    stack(c, m, attention, mlp, style="rms_one_plus", embed={"scale": True})


def layered(
    c: Config,
    m: ModelBuilder,
    period: int,
    qk_norm: str | None,
    wrap: Callable[..., Tensor] = sandwich,
    **options: Any,
) -> None:
    """Layers of two kinds: every `period`-th attends to everything, the others to a window."""
    softcap = c.get("attn_logit_softcapping") is not None
    stack(
        c,
        m,
        partial(grouped, bias=c.flag("attention_bias"), qk_norm=qk_norm, qk_style="rms_one_plus"),
        partial(gated, inner=c.inner, activation=c.text("hidden_activation", "gelu_pytorch_tanh")),
        wrap=wrap,
        style="rms_one_plus",
        window=windows(c, every(period, c.layers)),
        heads=partial(Heads.of, softcap=softcap),
        embed={"scale": True},
        **options,
    )


@decoder("vaultgemma")
def vaultgemma(c: Config, m: ModelBuilder) -> None:
    """VaultGemma (arXiv 2510.15001): Gemma 2 without the norms behind each half."""
    layered(c, m, 2, None, pre_norm, names=("input_layernorm", "pre_feedforward_layernorm"))


@decoder("gemma2")
def gemma2(c: Config, m: ModelBuilder) -> None:
    """Gemma 2 (arXiv 2408.00118): every second layer local, capped scores."""
    layered(c, m, 2, None)


@decoder("gemma3_text")
def gemma3_text(c: Config, m: ModelBuilder) -> None:
    """Gemma 3 (arXiv 2503.19786): five local layers for each global one, normalised heads."""
    layered(c, m, c.size("sliding_window_pattern", 6), "head")
