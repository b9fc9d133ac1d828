"""RWKV-4."""

from functools import partial

from ..blocks.residual import pre_norm
from ..blocks.rwkv import Rwkv, channel_mix, time_mix
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Tensor
from ..trace import Trace
from .registry import decoder


@decoder("rwkv", prefix="rwkv", head="head")
def rwkv(c: Config, m: ModelBuilder) -> None:
    """RWKV-4 (arXiv 2305.13048); the first layer normalises the embeddings."""
    shape = Rwkv(
        c.hidden,
        c.maybe("attention_hidden_size") or c.hidden,
        c.maybe("intermediate_size") or 4 * c.hidden,
    )

    def layer(t: Trace, x: Tensor, first: bool) -> Tensor:
        x = t.norm("pre_ln", x, style="layer") if first else x
        return pre_norm(
            t,
            x,
            partial(time_mix, r=shape),
            partial(channel_mix, r=shape),
            names=("ln1", "ln2"),
            style="layer",
        )

    m.embed("embeddings", c.vocab, c.hidden)
    m.stack(c.layers, layer, width=c.hidden, name="blocks.{}", kinds=lambda i: i == 0)
    m.final_norm("ln_out", c.hidden, style="layer")
