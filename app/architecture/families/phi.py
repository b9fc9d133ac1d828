"""Phi-3: Llama with fused projections."""

from ..builder import ModelBuilder
from ..blocks.attention import Heads, fused
from ..blocks.feed_forward import fused_gated
from ..blocks.residual import pre_norm
from ..config import Config
from ..operations import Tensor
from ..trace import Trace
from .llama import activation
from .registry import decoder


@decoder("phi3")
def phi3(c: Config, m: ModelBuilder) -> None:
    """Phi-3 and Phi-4 (arXiv 2404.14219): query, key and value in one matrix, gate and up in one."""
    heads = Heads.of(c, window=c.maybe("sliding_window"))

    def layer(t: Trace, x: Tensor) -> Tensor:
        return pre_norm(
            t,
            x,
            lambda t, x: fused(t, x, heads),
            lambda t, x: fused_gated(t, x, c.inner, activation=activation(c)),
        )

    m.embed("embed_tokens", c.vocab, c.hidden)
    m.stack(c.layers, layer, width=c.hidden)
    m.final_norm("norm", c.hidden)
