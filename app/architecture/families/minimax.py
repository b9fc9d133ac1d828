"""MiniMax: lightning attention between layers of attention, then plain attention over many experts."""

from collections.abc import Hashable
from functools import partial

from ..blocks.attention import Heads, grouped
from ..blocks.lightning import Lightning, lightning
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Tensor
from ..trace import Trace
from .mixtures import Half, experts, kinds, layers
from .registry import decoder


def blended(t: Trace, x: Tensor, mixer: Half, feed_forward: Half, *, style: str = "rms") -> Tensor:
    """Norms inside the residual stream: a weighed sum of the normalised input and what is made of it."""
    for name, half in (("input_layernorm", mixer), ("post_attention_layernorm", feed_forward)):
        x = t.norm(name, x, style=style)
        x = t.add(t.elementwise("scale", x), t.elementwise("scale", half(t, x)))
    return x


@decoder("minimax")
def minimax(c: Config, m: ModelBuilder) -> None:
    """MiniMax-Text-01 and M1 (arXiv 2501.08313)."""
    types = ["linear_attention" if i % 2 else "full_attention" for i in range(c.layers)]
    heads = Heads.of(c)  # whatever `sliding_window` says, the library keeps every token
    linear = Lightning(c.heads, c.head_dim, c.size("block_size"))

    def mixer(kind: Hashable) -> Half:
        return (
            partial(lightning, shape=linear) if kind == "linear_attention" else partial(grouped, shape=heads)
        )

    layers(
        c,
        m,
        mixer,
        lambda kind: experts(c, "num_local_experts", inner="intermediate_size"),
        mixers=kinds(c, "layer_types", types, ("linear_attention", "full_attention")),
        wrap=blended,
    )


@decoder("minimax_m2")
def minimax_m2(c: Config, m: ModelBuilder) -> None:
    """MiniMax-M2: attention everywhere, whole rows of queries and keys normalised, heads turned in part."""
    attention = partial(grouped, shape=Heads.of(c, **turned(c)), qk_norm="full")
    mixture = experts(
        c,
        "num_local_experts",
        inner="intermediate_size",
        correction="e_score_correction_bias",
        scoring="sigmoid",
    )
    layers(c, m, lambda kind: attention, lambda kind: mixture)


def turned(c: Config) -> dict[str, int]:
    """How much of a head is turned, where `rotary_dim` says so."""
    stated = c.maybe("rotary_dim", least=0)
    return {} if stated is None else {"rotary_dim": stated}
