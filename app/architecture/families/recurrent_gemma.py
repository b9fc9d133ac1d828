"""RecurrentGemma: Griffin's recurrent blocks and local attention."""

from collections.abc import Hashable
from functools import partial

from ..blocks.attention import Heads, grouped
from ..blocks.feed_forward import gated
from ..blocks.rg_lru import RgLru, recurrent
from ..builder import ModelBuilder
from ..config import Config
from .mixtures import Half, layers
from .registry import decoder


@decoder("recurrent_gemma", after=lambda c: ("scale", "tanh", "scale"))
def recurrent_gemma(c: Config, m: ModelBuilder) -> None:
    """RecurrentGemma (arXiv 2404.07839): two recurrent layers for each one of attention."""
    width = c.maybe("lru_width") or c.hidden
    if width % c.heads:
        raise c.wrong("lru_width", "config_not_divisible", value=c.heads, of=width)
    act = c.text("hidden_activation")
    unit = RgLru(width, c.heads, c.size("conv1d_width"), act)
    head_dim = c.hidden // c.heads
    heads = Heads(
        c.heads,
        c.kv_heads,
        head_dim,
        rotary_dim=head_dim // 2,
        window=c.size("attention_window_size"),
        dropout=c.number("attention_dropout", 0.0),
    )
    if c.heads % c.kv_heads:
        raise c.wrong("num_key_value_heads", "config_not_divisible", value=c.kv_heads, of=c.heads)
    pattern = c.items("block_types")
    if not pattern:
        raise c.wrong("block_types", "config_missing", model_type=c.model_type)
    attention = partial(
        grouped, shape=heads, module="temporal_block", bias=c.flag("attention_bias"), out_bias=True
    )

    def mixer(kind: Hashable) -> Half:
        return partial(recurrent, r=unit) if kind == "recurrent" else attention

    layers(
        c,
        m,
        mixer,
        lambda kind: partial(gated, inner=c.inner // 2, module="mlp_block", activation=act, bias=True),
        mixers=[str(pattern[i % len(pattern)]) for i in range(c.layers)],
        names=("temporal_pre_norm", "channel_pre_norm"),
        style="rms_one_plus",
        final="final_norm",
        scale=True,
    )
