"""MiniMax-M3, text: experts, and attention to chosen blocks of tokens."""

from functools import partial

from msgspec.structs import replace

from ..blocks.attention import Heads, grouped
from ..blocks.block_index import BlockIndexer, block_index
from ..blocks.feed_forward import fused_gated, sparse
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Tensor
from ..trace import Trace
from .minimax import turned
from .mixtures import Half, chosen, kinds, layers
from .registry import decoder

STYLE, ACTIVATION, SPARSE = "rms_one_plus", "swiglu_clamped", "minimax_m3_sparse"
OLDER = {
    "index_n_heads": "sparse_num_index_heads",
    "index_head_dim": "sparse_index_dim",
    "index_block_size": "sparse_block_size",
    "index_topk_blocks": "sparse_topk_blocks",
}


def index_sizes(c: Config) -> dict[str, int]:
    """The indexer's fields, those of an older `sparse_attention_config` first."""
    older = c.sub("sparse_attention_config")
    return {name: older.maybe(old) or c.size(name) for name, old in OLDER.items()}


def by_flags(c: Config, flags: object, names: tuple[str, str], otherwise: str) -> list[str]:
    """A kind for each layer out of a list of zeros and ones."""
    if isinstance(flags, list):
        return [names[bool(flag)] for flag in flags]
    return [otherwise] * c.layers


@decoder("minimax_m3_vl_text")
def minimax_m3_text(c: Config, m: ModelBuilder) -> None:
    """MiniMax-M3's text model."""
    flags = c.mapping("sparse_attention_config").get("sparse_attention_freq")
    types = kinds(
        c,
        "layer_types",
        by_flags(c, flags, ("full_attention", SPARSE), "full_attention"),
        ("full_attention", SPARSE),
    )
    feeds = kinds(
        c,
        "mlp_layer_types",
        by_flags(c, c.get("moe_layer_freq"), ("dense", "sparse"), "sparse"),
        ("dense", "sparse"),
    )
    shape = replace(Heads.of(c), **turned(c))
    sizes = index_sizes(c)
    indexer = BlockIndexer(
        sizes["index_n_heads"],
        sizes["index_head_dim"],
        shape.rotary_dim or shape.head_dim,
        sizes["index_block_size"],
        sizes["index_topk_blocks"],
    )
    count, used = chosen(c, "num_local_experts", "num_experts_per_tok")

    def attention(kind: str) -> Half:
        chooses = kind == SPARSE
        kept = indexer.head_dim if chooses else 0

        def write(t: Trace, x: Tensor) -> Tensor:
            if chooses:
                block_index(t, x, indexer)
            return grouped(t, x, shape, qk_norm="head", qk_style=STYLE, indexer_dim=kept)

        return write

    shared = partial(
        fused_gated, inner=c.size("shared_intermediate_size"), module="shared_experts", activation=ACTIVATION
    )
    mixture = partial(
        sparse,
        count=count,
        top_k=used,
        inner=c.inner,
        activation=ACTIVATION,
        shared=shared,
        correction="gate.e_score_correction_bias",
        scoring="sigmoid",
    )
    layers(
        c,
        m,
        attention,
        lambda kind: (
            mixture
            if kind == "sparse"
            else partial(fused_gated, inner=c.size("dense_intermediate_size"), activation=ACTIVATION)
        ),
        mixers=types,
        feeds=feeds,
        style=STYLE,
    )
