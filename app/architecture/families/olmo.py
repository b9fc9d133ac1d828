"""OLMo and those that normalise behind each half: OLMo 2 and 3, EXAONE 4."""

from functools import partial

from ..blocks.attention import grouped
from ..blocks.residual import post_norm
from ..builder import ModelBuilder
from ..config import Config
from .llama import every, stack, swiglu, windows
from .registry import decoder


@decoder("olmo")
def olmo(c: Config, m: ModelBuilder) -> None:
    """OLMo (arXiv 2402.00838): LayerNorm without weights; `clip_qkv` bounds the projections."""
    clip = c.get("clip_qkv") is not None
    stack(c, m, partial(grouped, bias=c.flag("attention_bias"), clip=clip), swiglu(c), style="layer_plain")


def normed_behind(c: Config, m: ModelBuilder, window: list[int | None] | None) -> None:
    """Norms of whole query and key rows, and behind each half."""
    attention = partial(grouped, bias=c.flag("attention_bias"), qk_norm="full", qk_style="rms_wide")
    stack(c, m, attention, swiglu(c), wrap=post_norm, style="rms_wide", window=window)


@decoder("olmo2")
def olmo2(c: Config, m: ModelBuilder) -> None:
    """OLMo 2 (arXiv 2501.00656)."""
    normed_behind(c, m, None)


@decoder("olmo3")
def olmo3(c: Config, m: ModelBuilder) -> None:
    """OLMo 3: three local layers for each global one."""
    normed_behind(c, m, windows(c, every(4, c.layers)))


def exaone_types(c: Config) -> list[str]:
    """Layer kinds by `sliding_window_pattern`: a period, or letters of which L is local."""
    pattern = c.get("sliding_window_pattern", 4)
    if c.get("sliding_window") is None:
        return ["full_attention"] * c.layers
    if isinstance(pattern, str) and pattern:
        local = [pattern[i % len(pattern)] == "L" for i in range(c.layers)]
        return ["sliding_attention" if is_local else "full_attention" for is_local in local]
    return every(c.size("sliding_window_pattern", 4), c.layers)


@decoder("exaone4")
def exaone4(c: Config, m: ModelBuilder) -> None:
    """EXAONE 4.0 (arXiv 2507.11407): normalised heads; global layers of the hybrid have no positions."""
    types = c.layer_types(exaone_types(c))
    is_hybrid = c.get("sliding_window") is not None
    turned = [not is_hybrid or kind == "sliding_attention" for kind in types]
    attention = partial(grouped, qk_norm="head")
    stack(c, m, attention, swiglu(c), wrap=post_norm, window=windows(c, types), turned=turned)
