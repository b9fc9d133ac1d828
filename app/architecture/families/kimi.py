"""Kimi delta attention beside latent attention: Kimi Linear and Ling's hybrids."""

from collections.abc import Hashable
from functools import partial

from ..blocks.kimi_delta import KimiDelta, kimi_delta
from ..blocks.latent import Latent, latent
from ..builder import ModelBuilder
from ..config import Config, not_covered
from .llama import every
from .mixtures import Half, dense, experts, kinds, layers, sparse_after
from .registry import decoder


def mixture(c: Config) -> Half:
    """Routed experts with corrected scores, and shared ones."""
    shared = c.size("moe_intermediate_size") * c.size("n_shared_experts")
    return experts(
        c,
        "num_local_experts",
        shared_inner=shared,
        correction="gate.e_score_correction_bias",
        scoring="sigmoid",
    )


def kimi_types(c: Config) -> list[str]:
    """Which layers attend: listed from one on in `linear_attn_config`, else every fourth but the first."""
    places = c.mapping("linear_attn_config").get("full_attn_layers")
    if isinstance(places, list):
        return ["full_attention" if i + 1 in places else "linear_attention" for i in range(c.layers)]
    return ["full_attention" if i and i % 4 == 0 else "linear_attention" for i in range(c.layers)]


@decoder("kimi_linear", ties=False)
def kimi_linear(c: Config, m: ModelBuilder) -> None:
    """Kimi Linear (arXiv 2510.26692): three delta layers for each of latent attention without positions."""
    if c.given("routed_expert_hidden_size") is not None:
        reason = "its experts of another width than the model's are not described here"
        raise not_covered(f"{c.path}.routed_expert_hidden_size", "Kimi K3", reason)
    old = c.sub("linear_attn_config")
    delta = KimiDelta(
        old.maybe("num_heads") or c.size("linear_num_heads"),
        old.maybe("head_dim") or c.size("linear_head_dim"),
        old.maybe("short_conv_kernel_size") or c.size("linear_conv_kernel_dim"),
    )
    attention = partial(latent, shape=Latent.of(c, rotary=False), bias=c.flag("attention_bias"))

    def mixer(kind: Hashable) -> Half:
        return attention if kind == "full_attention" else partial(kimi_delta, k=delta)

    layers(
        c,
        m,
        mixer,
        lambda sparse: mixture(c) if sparse else dense(c),
        mixers=kinds(c, "layer_types", kimi_types(c), ("full_attention", "linear_attention")),
        feeds=sparse_after(c, c.size("first_k_dense_replace", 1, least=0)),
    )


@decoder("bailing_hybrid", ties=False)
def bailing_hybrid(c: Config, m: ModelBuilder) -> None:
    """Ling 2.5: the same two mixers, in groups; latent attention with positions and gated heads."""
    delta = KimiDelta(c.heads, c.head_dim, c.size("short_conv_kernel_size"), low_rank=False)
    shape = Latent.of(c, query_rank=None)
    attention = partial(latent, shape=shape, bias=c.flag("attention_bias"), gate="g_proj")
    types = every(c.size("layer_group_size"), c.layers, first="linear_attention", last="full_attention")

    def mixer(kind: Hashable) -> Half:
        return attention if kind == "full_attention" else partial(kimi_delta, k=delta)

    layers(
        c,
        m,
        mixer,
        lambda sparse: mixture(c) if sparse else dense(c),
        mixers=kinds(c, "layer_types", types, ("full_attention", "linear_attention")),
        feeds=sparse_after(c, c.size("first_k_dense_replace", least=0)),
    )
