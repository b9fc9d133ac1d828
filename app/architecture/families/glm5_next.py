"""GLM-5.3 Flash: Kimi's delta rule and sparse latent attention without positions, over hyper-connections."""

from functools import partial

from ..blocks.hyper import Streams, connected, spread
from ..blocks.kimi_delta import KimiDelta, kimi_delta
from ..blocks.latent import Indexer, Latent, latent_queries
from ..blocks.vision import both_ways, vision_layer
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, KeyValueCache, Role, Tensor
from ..trace import Trace, column, row
from .composite import language, logits, see, tower
from .deepseek import deepseek_experts
from .glm_moe import indexer_types
from .llama import activation
from .mixtures import Half, dense, kinds, sparse_after
from .registry import body, family
from .towers_qwen import GATED, cubes, divided, glm_merger, note

MIXERS = ("linear_attention", "indexed_attention")


def choose(t: Trace, x: Tensor, low: Tensor, i: Indexer, pool: int) -> Tensor:
    """Scores of pools of tokens; what is kept of each token is its key, its gate and whether it counts."""
    with t.scope("indexer"):
        q = t.linear("wq_b", low, i.heads * i.head_dim)
        k = t.norm("k_norm", t.linear("wk", x, i.head_dim), style="layer")
        gate = t.linear("index_kpool_compress_gate", x, i.head_dim, module=False, role=Role.OTHER)
        t.hold(t.parameter("index_kpool_compress_ape", (pool, i.head_dim)))
        k = t.multiply(k, t.elementwise("softmax", gate))
        weights = t.linear("weights_proj", x, i.heads, role=Role.OTHER)
        return t.index(
            q, k, weights, heads=i.heads, key_dim=i.head_dim, top_k=max(i.top_k // pool, 1), block=pool,
            ratio=pool,
        )  # fmt: skip


def attention(t: Trace, x: Tensor, a: Latent, bias: bool, indexer: Indexer | None, pool: int) -> Tensor:
    """Latent attention without positions."""
    split = column(a.heads)
    with t.scope("self_attn"):
        low, q = latent_queries(t, x, a, bias, "rms")
        kv = t.norm("kv_a_layernorm", t.linear("kv_a_proj_with_mqa", x, a.kv_rank, bias=bias))
        expanded = t.linear("kv_b_proj", kv, a.heads * (a.nope_dim + a.value_dim), split=split)
        k, v = t.split(expanded, a.heads * a.nope_dim, a.heads * a.value_dim)
        if indexer:
            choose(t, x, low, indexer, pool)
        kept = KeyValueCache(
            a.heads, a.nope_dim, a.value_dim, latent_parts=(a.kv_rank,),
            indexer_dim=2 * indexer.head_dim + 1 if indexer else 0,
        )  # fmt: skip
        out = t.attention(
            q, k, v, heads=a.heads, kv_heads=a.heads, key_dim=a.nope_dim, value_dim=a.value_dim,
            dropout=a.dropout, kept=kept,
        )  # fmt: skip
        return t.linear("o_proj", out, x.width, bias=bias, split=row(a.heads))


def delta(c: Config) -> KimiDelta:
    """The linear layers' heads, by today's fields or the published `linear_attn_config`."""
    old = c.sub("linear_attn_config")
    return KimiDelta(
        old.maybe("num_heads") or c.size("linear_num_heads"),
        old.maybe("head_dim") or c.size("linear_head_dim"),
        old.maybe("short_conv_kernel_size") or c.size("linear_conv_kernel_dim"),
        flat=True,
    )


def mixers(c: Config) -> list[tuple[str, bool]]:
    """Every layer's kind and whether it has an indexer; whole attention is indexed attention here."""
    usual = [MIXERS[i % 4 == 3] for i in range(c.layers)]
    types = kinds(c, "layer_types", usual, (*MIXERS, "full_attention"))
    shares = kinds(c, "indexer_types", indexer_types(c), ("full", "shared"))
    return [
        (MIXERS[kind != MIXERS[0]], kind != MIXERS[0] and shares[i] == "full") for i, kind in enumerate(types)
    ]


@body("glm5_next_text")
def glm5_next_text(c: Config, m: ModelBuilder) -> None:
    """Three linear layers for each one that attends; streams are averaged behind the last."""
    turned = c.size("qk_rope_head_dim", 0, least=0)
    if turned:
        raise c.wrong("qk_rope_head_dim", "config_out_of_range", value=turned, least=0, most=0)
    shape = Latent(
        c.heads, c.size("q_lora_rank"), c.size("kv_lora_rank"), c.size("qk_nope_head_dim"), 0,
        c.size("v_head_dim"), rotary=False, dropout=c.number("attention_dropout", 0.0),
    )  # fmt: skip
    indexer = Indexer(c.size("index_n_heads"), c.size("index_head_dim"), 0, c.size("index_topk"))
    streams, pool, found = Streams(c.count("hc_mult"), c.hidden), c.size("index_kpool"), mixers(c)
    has_experts = sparse_after(c, 3)

    def mixer(kind: str, indexes: bool) -> Half:
        if kind == MIXERS[0]:
            return partial(kimi_delta, k=delta(c))
        bias = c.flag("attention_bias")
        return partial(attention, a=shape, bias=bias, indexer=indexer if indexes else None, pool=pool)

    def layer(t: Trace, x: Tensor, kind: str, indexes: bool, sparse: bool) -> Tensor:
        mixed, feed = mixer(kind, indexes), deepseek_experts(c) if sparse else dense(c)
        x = connected(t, x, streams, "attn_hc", lambda t, y: mixed(t, t.norm("input_layernorm", y)))
        return connected(t, x, streams, "ffn_hc", lambda t, y: feed(t, t.norm("post_attention_layernorm", y)))

    m.embed("embed_tokens", c.vocab, c.hidden)
    m.single("embedding", lambda t: spread(t, t.input(c.hidden), streams))
    m.stack(c.layers, layer, width=streams.width, kinds=lambda i: (*found[i], has_experts[i]))
    m.single("norm", lambda t: t.elementwise("mean", t.input(streams.width), width=c.hidden))
    m.final_norm("norm", c.hidden)


@tower("glm5_next_vision")
def glm5_next_vision(c: Config, m: ModelBuilder) -> None:
    """GLM-OCR's tower with a merger of any width."""
    side, out = c.size("spatial_merge_size"), c.size("out_hidden_size")
    bias = c.flag("attention_bias", True)
    layer = partial(
        vision_layer, heads=both_ways(divided(c, c.hidden), c.hidden, turned=True), inner=c.inner,
        act=activation(c), module="attn", qkv=("qkv", "proj"), bias=bias, norms=("norm1", "norm2"),
        style="rms", mlp_names=GATED, mlp_bias=bias, qk_norm="head",
    )  # fmt: skip

    def downsample(t: Trace) -> Tensor:
        x = t.norm("post_layernorm", t.input(c.hidden, Axis.PATCHES))
        return t.convolution("downsample", x, out, kernel=(side, side), axis=Axis.IMAGE_TOKENS)

    m.single("vision", lambda t: cubes(c, t, "patch_embed.proj", c.hidden, bias=True))
    m.stack(c.count("depth"), layer, width=c.hidden, name="blocks.{}", axis=Axis.PATCHES)
    m.single("vision", downsample)
    inner = c.size("projection_intermediate_size")
    m.single("vision", lambda t: glm_merger(t, c, out, inner), name="merger")
    note(c, m)


@family("glm5_next")
def glm5_next(c: Config, m: ModelBuilder) -> None:
    """GLM-5.3 Flash."""
    see(c, m, "model.visual")
    text = language(c, m, flat=True)
    logits(c, m, text)
