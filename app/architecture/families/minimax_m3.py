"""MiniMax-M3: attention to blocks that an indexer picks, experts with a fused shared one, a tower."""

from collections.abc import Hashable
from functools import partial

from ..blocks.attention import Heads, grouped
from ..blocks.feed_forward import fused_gated, sparse
from ..blocks.vision import both_ways, merged, patches, two_layers, vision_layer
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .composite import language, logits, picture, project, see, tower
from .llama import activation
from .mixtures import Half, chosen, layers
from .registry import body, family
from .towers import norm


def listed(c: Config, own: str, section: str | None, older: str, kinds: tuple[str, str], otherwise: str) -> list[str]:
    """A kind for each layer: by its own field, else by an older list of switches."""
    source = c.mapping(section) if section else c.data
    switches = source.get(older)
    if c.get(own) is None and isinstance(switches, list):
        types = [kinds[bool(switch)] for switch in switches]
    else:
        types = c.items(own) or [otherwise] * c.layers
    if len(types) < c.layers:
        raise c.wrong(own, "config_layer_types", value=len(types), layers=c.layers)
    return types[: c.layers]


def indexed(c: Config, name: str, older: str) -> int:
    """A size of the indexer, under its own name or the published one."""
    value = c.mapping("sparse_attention_config").get(older)
    return value if type(value) is int and 0 < value < 2**20 else c.size(name)


def indexer(t: Trace, x: Tensor, c: Config) -> None:
    """Scores of blocks of keys; every head chooses for itself."""
    width = indexed(c, "index_head_dim", "sparse_index_dim")
    heads = indexed(c, "index_n_heads", "sparse_num_index_heads")
    with t.scope("self_attn.indexer"):
        q = t.norm("q_norm", t.linear("q_proj", x, heads * width), style="rms_one_plus", width=width)
        k = t.norm("k_norm", t.linear("k_proj", x, width), style="rms_one_plus")
        t.index(t.rotary(q, width), t.rotary(k, width), None, heads=heads, key_dim=width,
                top_k=indexed(c, "index_topk_blocks", "sparse_topk_blocks"),
                block=indexed(c, "index_block_size", "sparse_block_size"))  # fmt: skip


@body("minimax_m3_vl_text")
def minimax_m3_text(c: Config, m: ModelBuilder) -> None:
    """The language model: its first layers may be dense and attend to everything."""
    shape = Heads.of(c, rotary_dim=c.maybe("rotary_dim", least=0))
    count, used = chosen(c, "num_local_experts", "num_experts_per_tok")
    shared = partial(fused_gated, inner=c.size("shared_intermediate_size"), module="shared_experts", activation="silu")

    def mixer(kind: Hashable) -> Half:
        width = indexed(c, "index_head_dim", "sparse_index_dim") if kind == "minimax_m3_sparse" else 0

        def attention(t: Trace, x: Tensor) -> Tensor:
            if width:
                indexer(t, x, c)
            return grouped(t, x, shape, qk_norm="head", qk_style="rms_one_plus", indexer_dim=width)

        return attention

    def feed(kind: Hashable) -> Half:
        if kind == "dense":
            return partial(fused_gated, inner=c.size("dense_intermediate_size"), activation="silu")
        return partial(sparse, count=count, top_k=used, inner=c.inner, scoring="sigmoid", shared=shared,
                       correction="gate.e_score_correction_bias")  # fmt: skip

    kinds = ("full_attention", "minimax_m3_sparse")
    layers(c, m, mixer, feed, style="rms_one_plus",
           mixers=listed(c, "layer_types", "sparse_attention_config", "sparse_attention_freq", kinds, kinds[0]),
           feeds=listed(c, "mlp_layer_types", None, "moe_layer_freq", ("dense", "sparse"), "sparse"))  # fmt: skip


@tower("minimax_m3_vl_vision")
def minimax_m3_vision(c: Config, m: ModelBuilder) -> None:
    """CLIP's layers with rotary positions over space and time."""
    kernel = (c.size("temporal_patch_size"), *c.pair("patch_size"))
    heads = both_ways(c.heads, c.hidden, turned=True)
    m.single("vision", lambda t: patches(t, "embeddings.proj", c.size("num_channels"), c.hidden, kernel, bias=False))
    norm(m, "pre_layrnorm", c.hidden)
    m.stack(c.layers, partial(vision_layer, heads=heads, inner=c.inner, act=activation(c)), width=c.hidden,
            axis=Axis.PATCHES)  # fmt: skip
    picture(m, patch=c.size("patch_size"), merge=c.size("spatial_merge_size") ** 2)


@family("minimax_m3_vl")
def minimax_m3(c: Config, m: ModelBuilder) -> None:
    """Two layers for every patch, two more for every square of patches."""
    vision = see(c, m, "model.vision_tower")
    text = language(c, m)
    inner = c.size("projector_hidden_size")

    def write(t: Trace) -> Tensor:
        x = two_layers(t, t.input(vision.hidden, Axis.PATCHES), ("linear_1", "linear_2"), inner, text.hidden, "gelu")
        x = merged(t, x, vision.size("spatial_merge_size") ** 2)
        return two_layers(t, x, ("merge_linear_1", "merge_linear_2"), inner, text.hidden, "gelu")

    project(m, "model.multi_modal_projector", write)
    logits(c, m, text, tied=c.tied or text.tied)
