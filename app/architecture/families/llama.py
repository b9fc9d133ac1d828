"""Llama and the lineages that keep its shape: rotary grouped attention, gated MLP, RMS norms before."""

from ..builder import ModelBuilder
from ..blocks.attention import Heads, grouped
from ..blocks.feed_forward import gated, sparse
from ..blocks.residual import pre_norm
from ..config import Config
from ..operations import Tensor
from ..trace import Trace
from .registry import decoder


def activation(c: Config) -> str:
    """The activation's name."""
    return c.text("hidden_act", "silu")


@decoder("llama")
def llama(c: Config, m: ModelBuilder) -> None:
    """Llama 1 to 3 (arXiv 2302.13971, 2407.21783)."""
    heads, bias, mlp_bias = Heads.of(c), c.flag("attention_bias"), c.flag("mlp_bias")

    def layer(t: Trace, x: Tensor) -> Tensor:
        return pre_norm(
            t,
            x,
            lambda t, x: grouped(t, x, heads, bias=bias),
            lambda t, x: gated(t, x, c.inner, activation=activation(c), bias=mlp_bias),
        )

    m.embed("embed_tokens", c.vocab, c.hidden)
    m.stack(c.layers, layer, width=c.hidden)
    m.final_norm("norm", c.hidden)


@decoder("mistral")
def mistral(c: Config, m: ModelBuilder) -> None:
    """Mistral 7B (arXiv 2310.06825): Llama with one window for all layers."""
    heads = Heads.of(c, window=c.maybe("sliding_window"))

    def layer(t: Trace, x: Tensor) -> Tensor:
        return pre_norm(
            t,
            x,
            lambda t, x: grouped(t, x, heads),
            lambda t, x: gated(t, x, c.inner, activation=activation(c)),
        )

    m.embed("embed_tokens", c.vocab, c.hidden)
    m.stack(c.layers, layer, width=c.hidden)
    m.final_norm("norm", c.hidden)


@decoder("mixtral")
def mixtral(c: Config, m: ModelBuilder) -> None:
    """Mixtral (arXiv 2401.04088): every feed-forward block is a mixture of experts."""
    heads = Heads.of(c, window=c.maybe("sliding_window"))

    def layer(t: Trace, x: Tensor) -> Tensor:
        return pre_norm(
            t,
            x,
            lambda t, x: grouped(t, x, heads),
            lambda t, x: sparse(
                t,
                x,
                count=c.count("num_local_experts"),
                top_k=c.size("num_experts_per_tok"),
                inner=c.inner,
                activation=activation(c),
            ),
        )

    m.embed("embed_tokens", c.vocab, c.hidden)
    m.stack(c.layers, layer, width=c.hidden)
    m.final_norm("norm", c.hidden)
