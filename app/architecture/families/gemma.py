"""Gemma 2 and 3: norms on both sides, local and global layers, scores capped or heads normalised."""

from ..builder import ModelBuilder
from ..blocks.attention import Heads, grouped
from ..blocks.feed_forward import gated
from ..blocks.residual import sandwich
from ..config import Config
from ..operations import Tensor
from ..trace import Trace
from .registry import decoder


def stack(c: Config, m: ModelBuilder, pattern: int, qk_norm: str | None) -> None:
    """Layers of two kinds: every `pattern`-th attends to everything, the others to a window."""
    types = c.layer_types(
        ["sliding_attention" if (i + 1) % pattern else "full_attention" for i in range(c.layers)]
    )
    bias, inner = c.flag("attention_bias"), c.inner
    act = c.text("hidden_activation", "gelu_pytorch_tanh")
    softcap = c.get("attn_logit_softcapping") is not None

    def layer(t: Trace, x: Tensor, kind: str) -> Tensor:
        window = c.size("sliding_window") if kind == "sliding_attention" else None
        heads = Heads.of(c, window=window, softcap=softcap)
        return sandwich(
            t,
            x,
            lambda t, x: grouped(t, x, heads, bias=bias, qk_norm=qk_norm, qk_style="rms_one_plus"),
            lambda t, x: gated(t, x, inner, activation=act),
            style="rms_one_plus",
        )

    m.embed("embed_tokens", c.vocab, c.hidden)
    m.stack(c.layers, layer, width=c.hidden, kinds=lambda i: types[i])
    m.final_norm("norm", c.hidden, style="rms_one_plus")


@decoder("gemma2")
def gemma2(c: Config, m: ModelBuilder) -> None:
    """Gemma 2 (arXiv 2408.00118): every second layer local, capped scores."""
    stack(c, m, 2, None)


@decoder("gemma3_text")
def gemma3_text(c: Config, m: ModelBuilder) -> None:
    """Gemma 3 (arXiv 2503.19786): five local layers for each global one, normalised heads."""
    stack(c, m, c.size("sliding_window_pattern", 6), "head")
