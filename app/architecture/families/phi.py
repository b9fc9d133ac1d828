"""Microsoft's Phi: parallel halves with partly turned heads, then Llama with fused projections."""

from functools import partial

from ..blocks.attention import Heads, fused, grouped
from ..blocks.feed_forward import fused_gated, plain
from ..blocks.residual import parallel
from ..builder import ModelBuilder
from ..config import Config
from .llama import activation, stack
from .registry import decoder


@decoder("phi", bias=True)
def phi(c: Config, m: ModelBuilder) -> None:
    """Phi-1 to Phi-2 (arXiv 2309.05463): one norm before both halves, biases everywhere."""
    qk_norm = "head" if c.flag("qk_layernorm") else None
    attention = partial(
        grouped,
        names=("q_proj", "k_proj", "v_proj", "dense"),
        bias=True,
        qk_norm=qk_norm,
        qk_style="layer",
        qk_names=("q_layernorm", "k_layernorm"),
    )
    mlp = partial(plain, inner=c.inner, names=("fc1", "fc2"), activation=activation(c))
    embed = {"dropout": c.number("embd_pdrop", 0.0)}
    drop = c.number("resid_pdrop", 0.0)
    stack(
        c, m, attention, mlp, wrap=parallel, style="layer", final="final_layernorm", embed=embed, dropout=drop
    )


@decoder("phi3")
def phi3(c: Config, m: ModelBuilder) -> None:
    """Phi-3 and Phi-4 (arXiv 2404.14219): query, key and value in one matrix, gate and up in one."""
    mlp = partial(fused_gated, inner=c.inner, activation=activation(c))
    window, drop = [c.maybe("sliding_window")] * c.layers, c.number("resid_pdrop", 0.0)
    stack(c, m, fused, mlp, window=window, dropout=drop, heads=partial(Heads.of, joined=True))
