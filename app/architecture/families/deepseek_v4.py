"""DeepSeek V4: hyper-connections, windows with compressed entries, experts chosen by hash or by score."""

from functools import partial

from ..blocks.compressor import Windowed, windowed
from ..blocks.feed_forward import fused_experts, gated, router
from ..blocks.hyper import Streams, connected, head, spread
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Role, Tensor
from ..trace import Trace
from .mixtures import chosen, kinds
from .registry import decoder

HEAVY, SPARSE, LOCAL = "heavily_compressed_attention", "compressed_sparse_attention", "sliding_attention"
BY_RATIO = {0: LOCAL, 4: SPARSE, 128: HEAVY}
HASH_LAYERS = 3  # where the file says nothing: `default_num_hash_layers`
RATES = {SPARSE: 4, HEAVY: 128}  # `default_compress_rates`


def attention_kinds(c: Config) -> list[str]:
    """The kind of each layer: by name, by the older list of ratios, or two heavy ones, then both in turn."""
    usual = [HEAVY if i < 2 or i % 2 == 0 else SPARSE for i in range(c.layers)]
    ratios = c.items("compress_ratios")
    if ratios is not None:
        if not all(isinstance(ratio, int) and ratio in BY_RATIO for ratio in ratios):
            raise c.wrong("compress_ratios", "config_unknown_value", value=str(ratios)[:40])
        usual = [BY_RATIO[ratio] for ratio in ratios]
    return kinds(c, "layer_types", usual, tuple(BY_RATIO.values()))


def rate(c: Config, kind: str) -> int:
    """Tokens of one compressed entry."""
    if kind == LOCAL:
        return 0
    older = {SPARSE: "compress_rate_csa", HEAVY: "compress_rate_hca"}[kind]
    given = c.mapping("compress_rates").get(kind, RATES[kind])
    return Config({"rate": c.get(older, given)}, c.model_type, f"{c.path}.compress_rates").size("rate")


def shape(c: Config, kind: str) -> Windowed:
    """The attention of one layer."""
    dim = c.head_dim
    rotary = c.maybe("qk_rope_head_dim")
    share = c.get("partial_rotary_factor")
    turned = int(dim * c.number("partial_rotary_factor")) if share is not None else rotary or dim // 8
    index = kind == SPARSE
    groups = c.size("o_groups")
    if c.heads * dim % groups:
        raise c.wrong("o_groups", "config_not_divisible", value=groups, of=c.heads * dim)
    return Windowed(
        c.heads,
        dim,
        min(turned, dim),
        c.size("q_lora_rank"),
        groups,
        c.size("o_lora_rank"),
        c.size("sliding_window"),
        rate(c, kind),
        c.size("index_n_heads") if index else 0,
        c.size("index_head_dim") if index else 0,
        c.size("index_topk") if index else 0,
        c.number("attention_dropout", 0.0),
    )


def mixture(t: Trace, x: Tensor, c: Config, by_hash: bool) -> Tensor:
    """Routed experts beside a shared one; a hashed router looks the choice up by the token."""
    count, used = chosen(c, "n_routed_experts", "num_experts_per_tok")
    inner = c.size("moe_intermediate_size")
    correction = None if by_hash else "gate.e_score_correction_bias"
    with t.scope("mlp"):
        weights = router(t, x, count, used, correction=correction, scoring=c.text("scoring_func"))
        if by_hash:
            t.hold(t.parameter("gate.tid2eid", (c.vocab, used), Role.ROUTER, buffer=True, dtype="int64"))
        out = fused_experts(t, x, weights, count=count, top_k=used, inner=inner, activation="swiglu_clamped")
        return t.add(
            out,
            gated(t, x, inner, module="shared_experts", activation="swiglu_clamped", bias=c.flag("mlp_bias")),
        )


@decoder("deepseek_v4")
def deepseek_v4(c: Config, m: ModelBuilder) -> None:
    """DeepSeek V4; its multi-token-prediction layers are outside the decoder."""
    types = attention_kinds(c)
    hashed = c.size("num_hash_layers", HASH_LAYERS, least=0)
    usual = ["hash_moe" if i < hashed else "moe" for i in range(c.layers)]
    feeds = kinds(c, "mlp_layer_types", usual, ("hash_moe", "moe"))
    streams = Streams(c.count("hc_mult"), c.hidden)

    def layer(t: Trace, x: Tensor, kind: str, feed: str) -> Tensor:
        attention = partial(windowed, w=shape(c, kind))
        x = connected(t, x, streams, "attn_hc", lambda t, y: attention(t, t.norm("input_layernorm", y)))
        return connected(
            t,
            x,
            streams,
            "ffn_hc",
            lambda t, y: mixture(t, t.norm("post_attention_layernorm", y), c, feed == "hash_moe"),
        )

    m.embed("embed_tokens", c.vocab, c.hidden)
    m.single("embedding", lambda t: spread(t, t.input(c.hidden), streams))
    m.stack(c.layers, layer, width=streams.width, kinds=lambda i: (types[i], feeds[i]))
    m.single("norm", lambda t: head(t, t.input(streams.width), streams))
    m.final_norm("norm", c.hidden)
