"""Mixtures of experts with layers of Llama's shape, from Phi-3.5 MoE to DBRX."""

from collections.abc import Hashable
from functools import partial

from msgspec.structs import replace

from ..blocks.attention import Heads, fused, grouped
from ..blocks.feed_forward import router, sparse
from ..blocks.residual import parallel, sandwich
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Role, Tensor
from ..trace import Trace, column
from .llama import activation, every
from .mixtures import Half, chosen, dense, experts, heads_of, kinds, layers, sparse_after, window_of
from .registry import decoder


def one_window(c: Config) -> Half:
    """Plain grouped attention, one window for all layers."""
    return partial(
        grouped, shape=Heads.of(c, window=c.maybe("sliding_window")), bias=c.flag("attention_bias")
    )


@decoder("mixtral")
def mixtral(c: Config, m: ModelBuilder) -> None:
    """Mixtral (arXiv 2401.04088): every feed-forward block is a mixture of experts."""
    attention = one_window(c)
    mixture = experts(c, "num_local_experts", inner="intermediate_size", scoring="softmax_wide")
    layers(c, m, lambda kind: attention, lambda kind: mixture)


@decoder("phimoe", bias=lambda c: c.flag("lm_head_bias"))
def phimoe(c: Config, m: ModelBuilder) -> None:
    """Phi-3.5 MoE (arXiv 2404.14219): LayerNorm; SparseMixer picks two experts whatever the field says."""
    mixture = partial(
        sparse,
        count=c.count("num_local_experts"),
        top_k=2,
        inner=c.inner,
        gate="router",
        router_module=True,
        scoring="sparsemixer",
        activation=activation(c),
    )
    layers(c, m, lambda kind: one_window(c), lambda kind: mixture, style="layer")


@decoder("ernie4_5_moe", bias=lambda c: c.flag("use_bias"))
def ernie4_5_moe(c: Config, m: ModelBuilder) -> None:
    """ERNIE 4.5 with experts in every `moe_layer_interval`-th layer of a range."""
    bias, interval = c.flag("use_bias"), c.size("moe_layer_interval")
    first, last = c.size("moe_layer_start_index", least=0), c.size("moe_layer_end_index", least=-1)
    last = c.layers - 1 if last == -1 else last
    shared = c.size("moe_num_shared_experts", least=0) * c.size("moe_intermediate_size")

    def mixture() -> Half:
        count = c.count("moe_num_experts")
        return experts(
            c,
            "moe_num_experts",
            "moe_k",
            shared_inner=shared,
            shared_bias=bias,
            correction="gate.moe_statics.e_score_correction_bias",
            correction_shape=(1, count),
            correction_buffer=False,
        )

    layers(
        c,
        m,
        lambda kind: partial(grouped, shape=Heads.of(c), bias=bias),
        lambda sparse: mixture() if sparse else dense(c, bias=bias),
        feeds=[not (i + 1) % interval and first <= i <= last for i in range(c.layers)],
    )


@decoder("hunyuan_v1_moe")
def hunyuan_v1_moe(c: Config, m: ModelBuilder) -> None:
    """Hunyuan-A13B and Large (arXiv 2411.02265): heads normalised after rotation, numbers by layer."""

    def numbers(name: str) -> list[int]:
        stated = c.get(name)
        values = stated if isinstance(stated, list) else [c.size(name)] * c.layers
        if len(values) < c.layers or not all(isinstance(n, int) and 0 < n <= 2**14 for n in values):
            raise c.wrong(name, "config_layer_types", value=len(values), layers=c.layers)
        return values

    def mixture(kind: tuple[int, int]) -> Half:
        if kind[1] > kind[0]:
            raise c.wrong("moe_topk", "config_out_of_range", value=kind[1], least=1, most=kind[0])
        return partial(
            sparse,
            count=kind[0],
            top_k=kind[1],
            inner=c.inner,
            shared_inner=c.inner,
            shared_name="shared_mlp",
            gate="gate.wg",
            router_module=True,
            activation=activation(c),
        )

    attention = partial(
        grouped,
        shape=Heads.of(c),
        bias=c.flag("attention_bias"),
        qk_norm="head",
        qk_names=("query_layernorm", "key_layernorm"),
        norm_last=True,
    )
    counts, used = numbers("num_experts"), numbers("moe_topk")
    layers(c, m, lambda kind: attention, mixture, feeds=[(counts[i], used[i]) for i in range(c.layers)])


@decoder("hy_v3")
def hy_v3(c: Config, m: ModelBuilder) -> None:
    """Hunyuan 3: one dense layer, then routed and shared experts."""
    bias = c.flag("mlp_bias")
    shared = c.size("moe_intermediate_size") * c.size("num_shared_experts")
    attention = partial(grouped, shape=Heads.of(c), bias=c.flag("attention_bias"), qk_norm="head")
    mixture = experts(
        c, shared_inner=shared, shared_bias=bias, correction="e_score_correction_bias", scoring="sigmoid"
    )
    layers(
        c,
        m,
        lambda kind: attention,
        lambda sparse: mixture if sparse else dense(c, bias=bias),
        feeds=sparse_after(c, 1),
    )


@decoder("afmoe")
def afmoe(c: Config, m: ModelBuilder) -> None:
    """Trinity: gated attention, norms on both sides, global layers without positions."""
    types = every(c.size("global_attn_every_n_layers", 4), c.layers)
    shared = c.size("moe_intermediate_size") * c.size("num_shared_experts")
    first = c.size("num_dense_layers", least=0)

    def attention(kind: Hashable) -> Half:
        shape = heads_of(c, kind) if kind == "sliding_attention" else heads_of(c, kind, rotary_dim=0)
        return partial(
            grouped,
            shape=shape,
            bias=c.flag("attention_bias"),
            qk_norm="head",
            qk_style="rms_wide",
            gate="gate_proj",
        )

    mixture = experts(
        c,
        shared_inner=shared,
        gate="router.gate",
        router_module=True,
        scoring="sigmoid",
        correction="expert_bias",
        correction_buffer=False,
    )
    layers(
        c,
        m,
        attention,
        lambda sparse: mixture if sparse else dense(c),
        mixers=kinds(c, "layer_types", types),
        feeds=[i >= first for i in range(c.layers)],
        wrap=sandwich,
        style="rms_wide",
        scale=c.flag("mup_enabled"),
        names=("input_layernorm", "post_attention_layernorm", "pre_mlp_layernorm", "post_mlp_layernorm"),
    )


@decoder("aria_text")
def aria_text(c: Config, m: ModelBuilder) -> None:
    """Aria's text model (arXiv 2410.05993): experts stored input-major."""
    attention = partial(grouped, shape=Heads.of(c), bias=c.flag("attention_bias"))
    shared = c.inner * c.size("moe_num_shared_experts")
    mixture = experts(
        c,
        "moe_num_experts",
        "moe_topk",
        "intermediate_size",
        gate="router",
        transposed=True,
        shared_inner=shared,
        shared_bias=c.flag("mlp_bias"),
    )
    layers(c, m, lambda kind: attention, lambda kind: mixture)


@decoder("llama4_text")
def llama4_text(c: Config, m: ModelBuilder) -> None:
    """Llama 4: attention in chunks with positions, whole without; experts in every n-th layer."""
    period = c.size("no_rope_layer_interval", 4)
    turned = c.items("no_rope_layers") or [int((i + 1) % period != 0) for i in range(c.layers)]
    if len(turned) < c.layers:
        raise c.wrong("no_rope_layers", "config_layer_types", value=len(turned), layers=c.layers)
    types = c.layer_types(["chunked_attention" if t else "full_attention" for t in turned])
    step = c.size("interleave_moe_layer_step", 1)
    with_experts = c.items("moe_layers")
    places = range(step - 1, c.layers, step) if with_experts is None else with_experts
    norm = "head" if c.flag("use_qk_norm", True) else None

    def attention(kind: tuple[str, bool]) -> Half:
        chunk = c.size("attention_chunk_size") if kind[0] == "chunked_attention" else None
        shape = Heads.of(c, chunk=chunk)
        if not kind[1]:
            shape = replace(shape, rotary_dim=0)
        return partial(
            grouped,
            shape=shape,
            bias=c.flag("attention_bias"),
            qk_norm=norm if kind[1] else None,
            qk_style="l2",
            qk_names=("qk_norm", "qk_norm"),
            qk_weight=False,
            norm_last=True,
            query_scale=not kind[1] and c.flag("attn_temperature_tuning", True),
        )

    mixture = experts(
        c,
        "num_local_experts",
        inner="intermediate_size",
        module="feed_forward",
        gate="router",
        router_module=True,
        transposed=True,
        every=True,
        scoring="sigmoid",
        shared_inner=c.inner,
        shared_name="shared_expert",
    )
    layers(
        c,
        m,
        attention,
        lambda sparse: mixture if sparse else dense(c, "intermediate_size_mlp", module="feed_forward"),
        mixers=[(types[i], bool(turned[i])) for i in range(c.layers)],
        feeds=[i in places for i in range(c.layers)],
    )


@decoder("cohere2_moe", after=lambda c: ("scale",))
def cohere2_moe(c: Config, m: ModelBuilder) -> None:
    """Command A with experts: parallel halves, global layers without positions, a dense prefix."""
    first = c.size("first_k_dense_replace", 0, least=0)
    prefix = c.size("prefix_dense_sliding_window_pattern", 1)
    types = every(prefix, min(first, c.layers)) + every(
        c.size("sliding_window_pattern", 4), max(0, c.layers - first)
    )
    has_experts = sparse_after(c, first)
    style = "rms" if c.get("rms_norm_eps") is not None else "layer"
    shared = c.inner * c.size("num_shared_experts", least=0)

    def attention(kind: tuple[str, bool]) -> Half:
        turned = window_of(c, kind[0]) is not None or (not kind[1] and prefix == 1)
        shape = heads_of(c, kind[0]) if turned else heads_of(c, kind[0], rotary_dim=0)
        return partial(grouped, shape=shape, bias=c.flag("attention_bias"))

    types = c.layer_types(types)
    layers(
        c,
        m,
        attention,
        lambda sparse: (
            experts(c, inner="intermediate_size", shared_inner=shared)
            if sparse
            else dense(c, "prefix_dense_intermediate_size")
        ),
        mixers=[(types[i], has_experts[i]) for i in range(c.layers)],
        feeds=has_experts,
        wrap=parallel,
        style=style,
        bias=False,
        final_bias=False,
    )


def row_experts(t: Trace, x: Tensor, count: int, used: int, inner: int, activation: str) -> Tensor:
    """DBRX's experts: three matrices with the rows of all experts one after the other."""
    with t.scope("ffn"):
        weights = router(t, x, count, used, name="router.layer", module=True)
        with t.scope("experts.mlp"):
            shape, split = (count * inner, x.width), column(inner)
            stacked = [
                t.parameter(name, shape, Role.EXPERT, split=split, experts=count)
                for name in ("w1", "v1", "w2")
            ]
            return t.experts(x, weights, stacked, count=count, top_k=used, width=inner, activation=activation)


@decoder("dbrx", prefix="transformer")
def dbrx(c: Config, m: ModelBuilder) -> None:
    """DBRX: one matrix for query, key and value, LayerNorm without bias, experts stacked row by row."""
    attn, ffn = c.sub("attn_config"), c.sub("ffn_config")
    kv_heads = attn.size("kv_n_heads", 1)
    if c.heads % kv_heads:
        raise attn.wrong("kv_n_heads", "config_not_divisible", value=kv_heads, of=c.heads)
    shape = Heads(c.heads, kv_heads, c.hidden // c.heads, dropout=attn.number("attn_pdrop", 0.0))
    count, used = chosen(ffn, "moe_num_experts", "moe_top_k", 4, 1)
    act = str(ffn.mapping("ffn_act_fn").get("name", "silu"))
    attention = partial(
        fused,
        shape=shape,
        module="norm_attn_norm.attn",
        names=("Wqkv", "out_proj"),
        clip=attn.get("clip_qkv") is not None,
    )
    mixture = partial(
        row_experts, count=count, used=used, inner=ffn.size("ffn_hidden_size", 3584), activation=act
    )
    layers(
        c,
        m,
        lambda kind: attention,
        lambda kind: mixture,
        embed="wte",
        name="blocks.{}",
        final="norm_f",
        style="layer",
        bias=False,
        final_bias=False,
        names=("norm_attn_norm.norm_1", "norm_attn_norm.norm_2"),
        dropout=c.number("resid_pdrop", 0.0),
    )
