"""Grouped attention over DeepSeek's experts: GLM-4.5, Solar Open, dots.llm1, EXAONE MoE, MiMo-V2-Flash."""

from collections.abc import Hashable
from functools import partial

from msgspec.structs import replace

from ..blocks.attention import Heads, grouped
from ..blocks.latent import Indexer, Latent, latent
from ..builder import ModelBuilder
from ..config import Config
from .deepseek import deepseek_experts, dense_first
from .deepseek import stack as deepseek_stack
from .llama import every
from .mixtures import Half, dense, experts, heads_of, kinds, layers, sparse_after
from .registry import decoder


@decoder("glm4_moe")
def glm4_moe(c: Config, m: ModelBuilder) -> None:
    """GLM-4.5 to 4.7 (arXiv 2508.06471): half of each head turned, heads normalised on request."""
    qk_norm = "head" if c.flag("use_qk_norm") else None
    bias = c.flag("attention_bias")
    attention = partial(grouped, shape=Heads.of(c), bias=bias, out_bias=False, qk_norm=qk_norm)
    deepseek_stack(c, m, attention, dense_first(c))


@decoder("solar_open")
def solar_open(c: Config, m: ModelBuilder) -> None:
    """Solar Open: experts in every layer."""
    bias = c.flag("attention_bias")
    deepseek_stack(c, m, partial(grouped, shape=Heads.of(c), bias=bias, out_bias=False), [True] * c.layers)


@decoder("dots1")
def dots1(c: Config, m: ModelBuilder) -> None:
    """dots.llm1 (arXiv 2506.05767): normalised heads, windows from `max_window_layers` on."""
    first = c.size("max_window_layers", 62, least=0)
    has_window = c.maybe("sliding_window") is not None
    types = ["sliding_attention" if has_window and i >= first else "full_attention" for i in range(c.layers)]
    bias = c.flag("attention_bias")
    layers(
        c,
        m,
        lambda kind: partial(grouped, shape=heads_of(c, kind), bias=bias, qk_norm="head"),
        lambda sparse: deepseek_experts(c) if sparse else dense(c),
        mixers=c.layer_types(types),
        feeds=dense_first(c),
    )


@decoder("exaone_moe")
def exaone_moe(c: Config, m: ModelBuilder) -> None:
    """K-EXAONE: local layers turned, global ones not; experts behind the first layers."""
    has_window = c.maybe("sliding_window") is not None
    types = every(c.size("sliding_window_pattern"), c.layers) if has_window else ["full_attention"] * c.layers
    shared = c.size("moe_intermediate_size") * c.size("num_shared_experts")

    def attention(kind: Hashable) -> Half:
        still = has_window and kind != "sliding_attention"
        shape = heads_of(c, kind)
        return partial(grouped, shape=replace(shape, rotary_dim=0) if still else shape, qk_norm="head")

    layers(
        c,
        m,
        attention,
        lambda sparse: (
            experts(c, shared_inner=shared, correction="gate.e_score_correction_bias", scoring="sigmoid")
            if sparse
            else dense(c)
        ),
        mixers=c.layer_types(types),
        feeds=sparse_after(c, c.size("first_k_dense_replace", least=0)),
    )


@decoder("mimo_v2_flash")
def mimo_v2_flash(c: Config, m: ModelBuilder) -> None:
    """MiMo-V2-Flash: windows with sinks and twice the key-value heads in five of six layers."""
    types = ["full_attention" if i == 0 or not (i + 1) % 6 else "sliding_attention" for i in range(c.layers)]
    window = c.maybe("sliding_window")
    if (stated := c.maybe("sliding_window_size")) is not None:
        window = stated + 1

    def attention(kind: Hashable) -> Half:
        local = kind == "sliding_attention"
        shape = Heads.of(c, window=window if local else None, value_dim=c.size("v_head_dim"))
        shape = replace(shape, kv_heads=(2 if local else 1) * shape.kv_heads)
        if shape.heads % shape.kv_heads:
            raise c.wrong("num_key_value_heads", "config_not_divisible", value=shape.kv_heads, of=shape.heads)
        return partial(
            grouped, shape=shape, bias=c.flag("attention_bias"), out_bias=False, sinks=local, value_scale=True
        )

    layers(
        c,
        m,
        attention,
        lambda sparse: (
            experts(c, "n_routed_experts", correction="gate.e_score_correction_bias", scoring="sigmoid")
            if sparse
            else dense(c)
        ),
        mixers=c.layer_types(types),
        feeds=sparse_after(c, 1),
    )


@decoder("glm_moe_dsa")
def glm_moe_dsa(c: Config, m: ModelBuilder) -> None:
    """GLM-5: DeepSeek V3.2's layers; where `indexer_types` says `shared`, the choice of the layer before."""
    shape, bias, indexer = Latent.of(c), c.flag("attention_bias"), Indexer.of(c)
    layers(
        c,
        m,
        lambda kind: partial(latent, shape=shape, bias=bias, indexer=indexer if kind == "full" else None),
        lambda sparse: deepseek_experts(c) if sparse else dense(c),
        mixers=kinds(c, "indexer_types", indexer_types(c), ("full", "shared")),
        feeds=sparse_after(c, c.size("first_k_dense_replace", least=0)),
    )


def indexer_types(c: Config) -> list[str]:
    """Which layers have an indexer: a pattern of F and S, or every `index_topk_freq`-th."""
    pattern = c.get("index_topk_pattern")
    if isinstance(pattern, str | list):
        names = {"F": "full", "S": "shared"}
        return [names.get(str(letter), str(letter)) for letter in pattern]
    period = max(c.size("index_topk_freq", 1, least=0), 1)
    offset = c.size("index_skip_topk_offset", 2, least=0)
    return ["shared" if max(i - offset + 1, 0) % period else "full" for i in range(c.layers)]
