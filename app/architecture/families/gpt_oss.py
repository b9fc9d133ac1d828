"""gpt-oss: windows on every second layer, attention sinks, biased experts stored input-major."""

from ..blocks.attention import Heads, grouped
from ..blocks.feed_forward import sparse
from ..blocks.residual import pre_norm
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Tensor
from ..trace import Trace
from .mixtures import chosen
from .registry import decoder


@decoder("gpt_oss")
def gpt_oss(c: Config, m: ModelBuilder) -> None:
    """gpt-oss (arXiv 2508.10925)."""
    types = c.layer_types(["full_attention" if i % 2 else "sliding_attention" for i in range(c.layers)])
    bias = c.flag("attention_bias")
    count, used = chosen(c, "num_local_experts", "num_experts_per_tok")

    def layer(t: Trace, x: Tensor, kind: str) -> Tensor:
        window = c.size("sliding_window") if kind == "sliding_attention" else None
        heads = Heads.of(c, window=window, float32_softmax=False)
        return pre_norm(
            t,
            x,
            lambda t, x: grouped(t, x, heads, bias=bias, sinks=True),
            lambda t, x: sparse(
                t,
                x,
                count=count,
                top_k=used,
                inner=c.inner,
                gate="router",
                router_bias=True,
                bias=True,
                transposed=True,
                activation="swiglu_clamped",
                scoring="topk_softmax",
            ),
        )

    m.embed("embed_tokens", c.vocab, c.hidden)
    m.stack(c.layers, layer, width=c.hidden, kinds=lambda i: types[i])
    m.final_norm("norm", c.hidden)
