"""Qwen's mixtures of experts and those built on them: Qwen 1.5 MoE, 3.5, Flint, Mellum, Laguna, Kolibri."""

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any

from ..blocks.attention import Heads, grouped, rotary_share
from ..blocks.recurrent import GatedDelta, gated_delta
from ..blocks.residual import sandwich
from ..builder import ModelBuilder
from ..config import Config
from .llama import every, swiglu
from .mixtures import Half, dense, experts, heads_of, kinds, layers, sparse_after
from .qwen import gated_attention, is_sparse
from .registry import decoder


def shared_experts(c: Config, **options: Any) -> Half:
    """Routed experts beside a shared one of its own width, scaled by a sigmoid gate."""
    settings: dict[str, Any] = {"shared_name": "shared_expert", "shared_gate": "shared_expert_gate"}
    return experts(c, shared_inner=c.size("shared_expert_intermediate_size"), **(settings | options))


def by_step(c: Config) -> list[bool]:
    """Whether each layer has experts, by `decoder_sparse_step` and `mlp_only_layers`."""
    count = c.size("num_experts", least=0)
    return [is_sparse(c, i, count) for i in range(c.layers)]


@decoder("qwen2_moe")
def qwen2_moe(c: Config, m: ModelBuilder) -> None:
    """Qwen 1.5 and 2 with experts: where windows are used, every second of the first layers has one."""
    local = c.flag("use_sliding_window")
    first = c.size("max_window_layers", 28, least=0)
    types = [
        "sliding_attention" if local and i < first and not i % 2 else "full_attention"
        for i in range(c.layers)
    ]
    bias = c.flag("qkv_bias", True)
    layers(
        c,
        m,
        lambda kind: partial(grouped, shape=heads_of(c, kind), bias=bias, out_bias=False),
        lambda sparse: shared_experts(c) if sparse else dense(c),
        mixers=c.layer_types(types),
        feeds=by_step(c),
    )


@decoder("qwen3_moe")
def qwen3_moe(c: Config, m: ModelBuilder) -> None:
    """Qwen 3 with experts in the layers that `decoder_sparse_step` and `mlp_only_layers` leave."""
    window = c.maybe("sliding_window") if c.flag("use_sliding_window") else None
    attention = partial(
        grouped, shape=Heads.of(c, window=window), bias=c.flag("attention_bias"), qk_norm="head"
    )
    layers(
        c,
        m,
        lambda kind: attention,
        lambda sparse: experts(c) if sparse else dense(c),
        feeds=by_step(c),
    )


@decoder("qwen3_next")
def qwen3_next(c: Config, m: ModelBuilder) -> None:
    """Qwen3-Next: three gated delta layers, then one of gated attention; experts with a gated shared one."""
    linear_hybrid(
        c,
        m,
        lambda sparse: shared_experts(c) if sparse else dense(c),
        feeds=by_step(c),
        fused=True,
        turned=0.25,
    )


def linear_hybrid(
    c: Config,
    m: ModelBuilder,
    feed_forward: Callable[[Any], Half],
    *,
    feeds: Sequence[bool] | None = None,
    fused: bool = False,
    turned: float | None = None,
) -> None:
    """Gated delta layers (`fused`: with few matrices), every fourth with gated attention, of whose heads a
    share is `turned` where the file says nothing."""
    stated = rotary_share(c)
    share = turned if turned is not None and stated == 1 else stated
    heads, bias = Heads.of(c, rotary_dim=int(c.head_dim * share)), c.flag("attention_bias")
    delta = GatedDelta(
        c.size("linear_num_key_heads"),
        c.size("linear_num_value_heads"),
        c.size("linear_key_head_dim"),
        c.size("linear_value_head_dim"),
        c.size("linear_conv_kernel_dim"),
    )
    types = every(c.size("full_attention_interval", 4), c.layers, first="linear_attention")

    def mixer(kind: Hashable) -> Half:
        if kind == "linear_attention":
            return partial(gated_delta, g=delta, fused=fused)
        return partial(gated_attention, heads=heads, bias=bias)

    layers(c, m, mixer, feed_forward, mixers=c.layer_types(types), feeds=feeds, style="rms_one_plus")


@decoder("qwen3_5_text")
def qwen3_5(c: Config, m: ModelBuilder) -> None:
    """Qwen 3.5, dense."""
    linear_hybrid(c, m, lambda kind: swiglu(c))


@decoder("qwen3_5_moe_text")
def qwen3_5_moe(c: Config, m: ModelBuilder) -> None:
    """Qwen 3.5 with experts in every layer."""
    mixture = shared_experts(c)
    linear_hybrid(c, m, lambda kind: mixture)


@decoder("flint")
def flint(c: Config, m: ModelBuilder) -> None:
    """Flint: sinks everywhere, global layers without positions, two dense layers first."""
    last = c.layers - 1
    types = [
        "full_attention" if i < 2 or i % 4 == 1 or i == last else "sliding_attention" for i in range(c.layers)
    ]
    only_dense = c.items("mlp_only_layers")
    count, step = c.size("num_experts", least=0), c.size("decoder_sparse_step", 1)
    idle = [0, 1] if only_dense is None else only_dense
    has_experts = [i not in idle and count > 0 and not (i + 1) % step for i in range(c.layers)]

    def attention(kind: Hashable) -> Half:
        still = {} if kind == "sliding_attention" else {"rotary_dim": 0}
        shape = heads_of(c, kind, **still)
        return partial(grouped, shape=shape, bias=c.flag("attention_bias"), qk_norm="head", sinks=True)

    layers(
        c,
        m,
        attention,
        lambda sparse: shared_experts(c, scoring="sigmoid", shared_gate=None) if sparse else dense(c),
        mixers=c.layer_types(types),
        feeds=has_experts,
    )


@decoder("mellum")
def mellum(c: Config, m: ModelBuilder) -> None:
    """Mellum 2: Qwen 3's attention by layer types; its multi-token-prediction layer is outside."""
    layers(
        c,
        m,
        lambda kind: partial(grouped, shape=heads_of(c, kind), bias=c.flag("attention_bias"), qk_norm="head"),
        lambda sparse: experts(c) if sparse else dense(c),
        mixers=c.layer_types(["full_attention"] * c.layers),
        feeds=sparse_after(c, 0),
    )


@decoder("laguna")
def laguna(c: Config, m: ModelBuilder) -> None:
    """Laguna: query heads by layer, outputs scaled by a softplus gate, one dense layer first."""
    types = c.layer_types(["full_attention"] * c.layers)
    counts = c.items("num_attention_heads_per_layer") or [c.heads] * c.layers
    if len(counts) < c.layers or not all(isinstance(n, int) and 0 < n < 2**20 for n in counts):
        raise c.wrong(
            "num_attention_heads_per_layer", "config_layer_types", value=len(counts), layers=c.layers
        )
    gating = c.get("gating", True)

    def attention(kind: tuple[str, int]) -> Half:
        shape = heads_of(c, kind[0], heads=kind[1])
        if shape.heads % shape.kv_heads:
            raise c.wrong("num_key_value_heads", "config_not_divisible", value=shape.kv_heads, of=shape.heads)
        return partial(
            grouped,
            shape=shape,
            bias=c.flag("attention_bias"),
            qk_norm="head",
            gate="g_proj",
            gate_kind="softplus",
            gate_width=shape.heads if gating is True or gating == "per-head" else None,
        )

    layers(
        c,
        m,
        attention,
        lambda sparse: (
            shared_experts(
                c,
                scoring="sigmoid",
                shared_name="shared_experts",
                shared_gate=None,
                correction="gate.e_score_correction_bias",
                correction_buffer=False,
            )
            if sparse
            else dense(c)
        ),
        mixers=[(types[i], counts[i]) for i in range(c.layers)],
        feeds=sparse_after(c, 1),
    )


@decoder("kolibri1")
def kolibri1(c: Config, m: ModelBuilder) -> None:
    """Kolibri: norms on both sides, every fifth layer global and without positions."""
    types = every(5, c.layers)

    def attention(kind: Hashable) -> Half:
        still = {} if kind == "sliding_attention" else {"rotary_dim": 0}
        return partial(grouped, shape=heads_of(c, kind, **still), qk_norm="head")

    mixture = shared_experts(
        c,
        scoring="sigmoid",
        shared_name="shared_experts",
        shared_gate=None,
        correction="gate.e_score_correction_bias",
    )
    layers(
        c,
        m,
        attention,
        lambda kind: mixture,
        mixers=kinds(c, "layer_types", types),
        wrap=sandwich,
        names=(
            "input_layernorm",
            "post_self_attn_layernorm",
            "post_attention_layernorm",
            "post_mlp_layernorm",
        ),
    )
