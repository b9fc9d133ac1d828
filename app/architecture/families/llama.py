"""Llama and the lineages that keep its shape: rotary grouped attention, gated MLP, RMS norms before."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..blocks.attention import Heads, grouped
from ..blocks.feed_forward import gated, plain
from ..blocks.residual import pre_norm
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Tensor
from ..trace import Trace
from .registry import decoder

Attention = Callable[[Trace, Tensor, Heads], Tensor]
FeedForward = Callable[[Trace, Tensor], Tensor]


def activation(c: Config) -> str:
    """The activation's name."""
    return c.text("hidden_act", "silu")


def every(
    period: int, layers: int, *, first: str = "sliding_attention", last: str = "full_attention"
) -> list[str]:
    """Layer kinds that repeat: `period` - 1 of the first, then one of the last."""
    return [first if (i + 1) % period else last for i in range(layers)]


def windows(c: Config, otherwise: Sequence[str]) -> list[int | None]:
    """The window of each layer, by `layer_types` [otherwise]."""
    return [
        c.maybe("sliding_window") if kind == "sliding_attention" else None
        for kind in c.layer_types(otherwise)
    ]


def stack(
    c: Config,
    m: ModelBuilder,
    attention: Attention,
    mlp: FeedForward,
    *,
    wrap: Callable[..., Tensor] = pre_norm,
    style: str = "rms",
    window: Sequence[int | None] | None = None,
    turned: Sequence[bool] | None = None,
    heads: Callable[..., Heads] = Heads.of,
    final: str = "norm",
    embed: dict[str, Any] | None = None,
    **options: Any,
) -> None:
    """Embedding, layers of attention and a feed-forward block, final norm.

    `window` and `turned` (whether positions are rotary) by layer; `options` go to `wrap`, which places
    norms and residuals, `embed` to the embedding.
    """

    def layer(t: Trace, x: Tensor, window: int | None, turned: bool) -> Tensor:
        shape = heads(c, window=window) if turned else heads(c, window=window, rotary_dim=0)
        return wrap(t, x, lambda t, x: attention(t, x, shape), mlp, style=style, **options)

    m.embed("embed_tokens", c.vocab, c.hidden, **(embed or {}))
    m.stack(
        c.layers,
        layer,
        width=c.hidden,
        kinds=lambda i: (window[i] if window else None, turned[i] if turned else True),
    )
    m.final_norm(final, c.hidden, style=style)


def swiglu(c: Config, *, bias: bool = False) -> FeedForward:
    """The gated block by the usual field names."""
    return partial(gated, inner=c.inner, activation=activation(c), bias=bias)


@decoder("llama", "internlm3", "iquestcoder")
def llama(c: Config, m: ModelBuilder) -> None:
    """Llama 1 to 3 (arXiv 2302.13971, 2407.21783)."""
    stack(c, m, partial(grouped, bias=c.flag("attention_bias")), swiglu(c, bias=c.flag("mlp_bias")))


@decoder("cwm")
def cwm(c: Config, m: ModelBuilder) -> None:
    """Code World Model (arXiv 2510.02387): the first of every four layers attends to everything."""
    types = ["sliding_attention" if i % 4 else "full_attention" for i in range(c.layers)]
    stack(c, m, grouped, swiglu(c, bias=c.flag("mlp_bias")), window=windows(c, types))


@decoder("arcee")
def arcee(c: Config, m: ModelBuilder) -> None:
    """Arcee AFM: a squared ReLU without a gate."""
    mlp = partial(plain, inner=c.inner, activation=activation(c), bias=c.flag("mlp_bias"))
    stack(c, m, partial(grouped, bias=c.flag("attention_bias")), mlp)


@decoder("jais2")
def jais2(c: Config, m: ModelBuilder) -> None:
    """Jais 2: LayerNorm and a squared ReLU without a gate."""
    mlp = partial(plain, inner=c.inner, activation=activation(c), bias=c.flag("mlp_bias"))
    stack(c, m, partial(grouped, bias=c.flag("attention_bias")), mlp, style="layer")


@decoder("ernie4_5")
def ernie4_5(c: Config, m: ModelBuilder) -> None:
    """ERNIE 4.5, dense: one switch for all biases."""
    bias = c.flag("use_bias")
    stack(c, m, partial(grouped, bias=bias), swiglu(c, bias=bias))


@decoder("seed_oss")
def seed_oss(c: Config, m: ModelBuilder) -> None:
    """Seed-OSS: biases on query, key and value, dropout behind both halves."""
    attention = partial(grouped, bias=c.flag("attention_bias"), out_bias=c.flag("attention_out_bias"))
    stack(c, m, attention, swiglu(c, bias=c.flag("mlp_bias")), dropout=c.number("residual_dropout", 0.0))


@decoder("smollm3")
def smollm3(c: Config, m: ModelBuilder) -> None:
    """SmolLM3: no positions in every fourth layer."""
    period = c.size("no_rope_layer_interval", 4)
    turned = c.items("no_rope_layers") or [(i + 1) % period for i in range(c.layers)]
    if len(turned) < c.layers:
        raise c.wrong("no_rope_layers", "config_layer_types", value=len(turned), layers=c.layers)
    local = c.flag("use_sliding_window") and c.get("sliding_window") is not None
    types = ["sliding_attention" if local and not turned[i] else "full_attention" for i in range(c.layers)]
    window = windows(c, types) if c.flag("use_sliding_window") else None
    attention = partial(grouped, bias=c.flag("attention_bias"))
    stack(
        c, m, attention, swiglu(c, bias=c.flag("mlp_bias")), window=window, turned=[bool(i) for i in turned]
    )


@decoder("helium")
def helium(c: Config, m: ModelBuilder) -> None:
    """Helium: the norm's weight is applied in fp32, the output projection has no bias."""
    attention = partial(grouped, bias=c.flag("attention_bias"), out_bias=False)
    stack(c, m, attention, swiglu(c, bias=c.flag("mlp_bias")), style="rms_wide")


@decoder("hunyuan_v1_dense")
def hunyuan_dense(c: Config, m: ModelBuilder) -> None:
    """Hunyuan, dense: heads of query and key normalised after rotation."""
    names = ("query_layernorm", "key_layernorm")
    attention = partial(
        grouped, bias=c.flag("attention_bias"), qk_norm="head", qk_names=names, norm_last=True
    )
    stack(c, m, attention, swiglu(c))


@decoder("bitnet")
def bitnet(c: Config, m: ModelBuilder) -> None:
    """BitNet b1.58 (arXiv 2402.17764): a norm before both output projections."""
    attention = partial(grouped, bias=c.flag("attention_bias"), out_norm="attn_sub_norm")
    stack(c, m, attention, partial(gated, inner=c.inner, activation=activation(c), norm="ffn_sub_norm"))


@decoder("nanochat")
def nanochat(c: Config, m: ModelBuilder) -> None:
    """nanochat: norms without weights, one more behind the embedding, heads normalised after rotation."""
    attention = partial(
        grouped, bias=c.flag("attention_bias"), qk_norm="head", qk_style="rms_plain", norm_last=True
    )
    mlp = partial(plain, inner=c.inner, names=("fc1", "fc2"), activation=activation(c), bias=False)
    embed = {"norm": "norm", "style": "rms_plain"}
    stack(c, m, attention, mlp, style="rms_plain", embed=embed)


@decoder("nemotron")
def nemotron(c: Config, m: ModelBuilder) -> None:
    """Nemotron-4 (arXiv 2402.16819): LayerNorm with 1 + weight, squared ReLU, half of each head turned."""
    mlp = partial(plain, inner=c.inner, activation=activation(c), bias=c.flag("mlp_bias"))
    stack(c, m, partial(grouped, bias=c.flag("attention_bias")), mlp, style="layer_one_plus")


@decoder("apertus")
def apertus(c: Config, m: ModelBuilder) -> None:
    """Apertus (arXiv 2509.14233): learned xIELU activation (arXiv 2411.13010), normalised heads."""

    def mlp(t: Trace, x: Tensor) -> Tensor:
        if activation(c) == "xielu":
            with t.scope("mlp.act_fn"):
                t.hold(
                    *(t.parameter(name, (1,)) for name in ("alpha_p", "alpha_n")),
                    *(t.parameter(name, (), buffer=True) for name in ("beta", "eps")),
                )
        return plain(t, x, c.inner, activation=activation(c), bias=False)

    attention = partial(grouped, bias=c.flag("attention_bias"), qk_norm="head")
    stack(c, m, attention, mlp, names=("attention_layernorm", "feedforward_layernorm"))


@decoder("mistral")
def mistral(c: Config, m: ModelBuilder) -> None:
    """Mistral 7B (arXiv 2310.06825): Llama with one window for all layers."""
    stack(c, m, grouped, swiglu(c), window=[c.maybe("sliding_window")] * c.layers)


@decoder("ministral")
def ministral(c: Config, m: ModelBuilder) -> None:
    """Ministral 8B: windows by layer."""
    local = "sliding_attention" if c.get("sliding_window") is not None else "full_attention"
    stack(c, m, grouped, swiglu(c), window=windows(c, [local] * c.layers))


@decoder("ministral3")
def ministral3(c: Config, m: ModelBuilder) -> None:
    """Ministral 3: queries scaled by their position, as in Llama 4."""
    window = [c.maybe("sliding_window")] * c.layers
    stack(c, m, partial(grouped, query_scale=True), swiglu(c), window=window)
