"""DeepSeek V2 to V3.2 and the models that keep their shape: latent attention, routed and shared experts."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from ..blocks.latent import Indexer, Latent, latent
from ..builder import ModelBuilder
from ..config import Config
from .llama import swiglu
from .mixtures import Half, dense, experts, layers, sparse_after
from .registry import decoder


def deepseek_experts(c: Config, **options: Any) -> Half:
    """Routed experts with a correction of their scores that balances load, and shared ones."""
    shared = c.size("moe_intermediate_size") * c.size("n_shared_experts", 1)
    settings: dict[str, Any] = {"correction": "gate.e_score_correction_bias", "scoring": "sigmoid"}
    return experts(c, "n_routed_experts", shared_inner=shared, **(settings | options))


def stack(
    c: Config,
    m: ModelBuilder,
    attention: Half,
    has_experts: Sequence[bool],
    *,
    bias: bool = False,
    **options: Any,
) -> None:
    """One kind of attention; dense layers first, then experts. `bias` is that of the gated blocks."""
    layers(
        c,
        m,
        lambda kind: attention,
        lambda sparse: deepseek_experts(c, shared_bias=bias, **options) if sparse else dense(c, bias=bias),
        feeds=has_experts,
    )


def dense_first(c: Config) -> list[bool]:
    """Whether each layer has experts: all but the first `first_k_dense_replace`."""
    first = c.size("first_k_dense_replace", 0, least=0)
    return [i >= first for i in range(c.layers)]


@decoder("deepseek_v3")
def deepseek_v3(c: Config, m: ModelBuilder) -> None:
    """DeepSeek V3 (arXiv 2412.19437); its multi-token-prediction layers are outside the decoder."""
    stack(c, m, partial(latent, shape=Latent.of(c), bias=c.flag("attention_bias")), dense_first(c))


@decoder("deepseek_v2")
def deepseek_v2(c: Config, m: ModelBuilder) -> None:
    """DeepSeek V2 (arXiv 2405.04434): softmax scores, no correction."""
    attention = partial(latent, shape=Latent.of(c), bias=c.flag("attention_bias"))
    stack(c, m, attention, dense_first(c), bias=c.flag("mlp_bias"), correction=None, scoring="softmax")


@decoder("glm4_moe_lite")
def glm4_moe_lite(c: Config, m: ModelBuilder) -> None:
    """GLM-4.7-Flash: DeepSeek V3's layers, one dense."""
    attention = partial(latent, shape=Latent.of(c), bias=c.flag("attention_bias"))
    stack(c, m, attention, sparse_after(c, 1))


@decoder("deepseek_v32")
def deepseek_v32(c: Config, m: ModelBuilder) -> None:
    """DeepSeek V3.2: an indexer in every layer picks the tokens that attention looks at."""
    attention = partial(latent, shape=Latent.of(c), bias=c.flag("attention_bias"), indexer=Indexer.of(c))
    stack(c, m, attention, sparse_after(c, c.size("first_k_dense_replace", least=0)))


@decoder("youtu")
def youtu(c: Config, m: ModelBuilder) -> None:
    """Youtu-LLM: latent attention over dense layers."""
    layers(
        c,
        m,
        lambda kind: partial(latent, shape=Latent.of(c), bias=c.flag("attention_bias")),
        lambda kind: swiglu(c, bias=c.flag("mlp_bias")),
    )
