"""Liquid's LFM2 and LFM3: short convolutions between layers of attention."""

from collections.abc import Hashable
from functools import partial
from typing import Any

from ..blocks.attention import Heads, grouped
from ..blocks.feed_forward import gated
from ..blocks.recurrent import short_convolution
from ..blocks.residual import sandwich
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Part, Tensor
from ..trace import Trace, columns, row
from .mixtures import Half, dense, experts, heads_of, layers
from .registry import decoder

NAMES = ("w1", "w3", "w2")


def gated_convolution(t: Trace, x: Tensor, kernel: int, *, bias: bool, module: str = "conv") -> Tensor:
    """C * conv(B * x), the three made by one matrix."""
    part = Part(x.width, x.width)
    with t.scope(module):
        parts = t.split(
            t.linear("in_proj", x, 3 * x.width, bias=bias, split=columns(part, part, part)),
            x.width,
            x.width,
            x.width,
            kind="chunk",
        )
        inside = short_convolution(
            t, t.multiply(parts[0], parts[2]), kernel, name="conv", bias=bias, units=x.width
        )
        return t.linear("out_proj", t.multiply(parts[1], inside), x.width, bias=bias, split=row(x.width))


def attention(c: Config, heads: Heads, **options: Any) -> Half:
    """Attention with normalised heads under LFM2's names."""
    names = ("q_proj", "k_proj", "v_proj", "out_proj")
    return partial(
        grouped, shape=heads, names=names, qk_norm="head", qk_names=("q_layernorm", "k_layernorm"), **options
    )


def adjusted(c: Config) -> int:
    """Inner width: two thirds, a factor, then the next multiple."""
    inner = c.inner
    if not c.flag("block_auto_adjust_ff_dim", True):
        return inner
    inner = int(2 * inner / 3)
    if c.get("block_ffn_dim_multiplier") is None:
        return inner
    inner = int(c.number("block_ffn_dim_multiplier") * inner)
    multiple = c.size("block_multiple_of")
    return multiple * -(-inner // multiple)


def types(c: Config) -> list[str]:
    """The kind of each layer: attention at `full_attn_idxs` [all], convolutions elsewhere."""
    places = c.items("full_attn_idxs")
    return c.layer_types(
        ["full_attention" if places is None or i in places else "conv" for i in range(c.layers)]
    )


def mixer(c: Config, kind: Hashable) -> Half:
    """One mixer of LFM2."""
    if kind == "conv":
        return partial(gated_convolution, kernel=c.size("conv_L_cache"), bias=c.flag("conv_bias"))
    return attention(c, Heads.of(c))


@decoder("lfm2")
def lfm2(c: Config, m: ModelBuilder) -> None:
    """LFM2."""
    feed_forward = partial(gated, inner=adjusted(c), module="feed_forward", names=NAMES)
    layers(
        c,
        m,
        lambda kind: mixer(c, kind),
        lambda kind: feed_forward,
        mixers=types(c),
        names=("operator_norm", "ffn_norm"),
        final="embedding_norm",
    )


@decoder("lfm2_moe")
def lfm2_moe(c: Config, m: ModelBuilder) -> None:
    """LFM2 with experts behind the first `num_dense_layers`."""
    first = c.size("num_dense_layers", least=0)
    correction = "expert_bias" if c.flag("use_expert_bias", True) else None

    def feed_forward(sparse: bool) -> Half:
        if not sparse:
            return dense(c, module="feed_forward", names=NAMES)
        return experts(c, module="feed_forward", correction=correction, scoring="sigmoid")

    layers(
        c,
        m,
        lambda kind: mixer(c, kind),
        feed_forward,
        mixers=types(c),
        feeds=[i >= first for i in range(c.layers)],
        names=("operator_norm", "ffn_norm"),
        final="embedding_norm",
    )


@decoder("lfm3")
def lfm3(c: Config, m: ModelBuilder) -> None:
    """LFM3: windows, gated heads, norms on both sides."""
    usual = [
        "full_attention" if i % 4 == 2 else "sliding_attention" if i % 4 == 0 and i > 0 else "conv"
        for i in range(c.layers)
    ]
    gate = "g_proj" if c.flag("use_attention_gate", True) else None

    def mix(kind: Hashable) -> Half:
        if kind == "conv":
            return mixer(c, kind)
        shape = heads_of(c, kind)
        bias = c.flag("attention_bias")
        return partial(grouped, shape=shape, bias=bias, qk_norm="head", gate=gate, gate_width=shape.heads)

    options: dict[str, Any] = {"names": ("operator_norm", "ffn_norm")}
    if c.flag("use_sandwich_norm", True):
        options = {
            "wrap": sandwich,
            "names": ("operator_norm", "post_operator_norm", "ffn_norm", "post_ffn_norm"),
        }
    layers(
        c,
        m,
        mix,
        lambda kind: dense(c, module="feed_forward", names=NAMES),
        mixers=c.layer_types(usual),
        final="embedding_norm",
        **options,
    )
