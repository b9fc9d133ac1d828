"""Qwen4-Exp, text: gated streams, delta layers, attention to chosen blocks, n-gram embeddings for layers."""

from collections.abc import Callable
from functools import partial

from ..blocks.attention import Heads, turn_heads
from ..blocks.ngram import NGrams, ngram_layer
from ..blocks.recurrent import GatedDelta, gated_delta
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Tensor
from ..trace import Trace
from .llama import every
from .mixtures import Half, kinds
from .qwen import gated_attention
from .qwen_moe import shared_experts
from .registry import decoder

STYLE, SPARSE = "rms_one_plus", "indexed_attention"
MOST_TABLES = 4096  # of n-grams in one model; their sizes are found one by one


def read(t: Trace, x: Tensor, hidden: int, rank: int) -> tuple[Tensor, Tensor]:
    """One stream out of all, each channel weighed by a low-rank gate; and the normalised streams."""
    normed = t.norm("hc_norm", x, style=STYLE, width=hidden, shape=(x.width,))
    low = t.elementwise("silu", t.elementwise("scale", t.linear("input_mix_weight_down", normed, rank)))
    gate = t.elementwise("sigmoid", t.linear("input_mix_weight_up", low, x.width))
    return t.elementwise("mean", t.multiply(gate, normed), width=hidden), normed


def connected(t: Trace, x: Tensor, hidden: int, rank: int, name: str, half: Half) -> Tensor:
    """One half of a layer: read, worked on, written back to all streams by gates of their own."""
    with t.scope(name):
        inside, normed = read(t, x, hidden, rank)
        gates = t.elementwise("sigmoid", t.linear("block_inject_weight", normed, x.width // hidden))
    made = t.elementwise("repeat", half(t, inside), width=x.width)
    return t.add(x, t.multiply(made, gates))


def block_indexer(c: Config) -> Callable[[Trace, Tensor], Tensor]:
    """Narrow queries over the mean keys of blocks; the best blocks make up the budget."""
    heads, kv_heads = c.size("indexer_n_heads"), c.size("indexer_kv_heads")
    dim, ratio, budget = (
        c.size("indexer_head_dim"),
        c.size("indexer_compress_ratio"),
        c.size("indexer_budget"),
    )
    if kv_heads != 1:
        raise c.wrong("indexer_kv_heads", "config_unknown_value", value=kv_heads)

    def write(t: Trace, x: Tensor) -> Tensor:
        with t.scope("self_attn.indexer"):
            q, k = t.split(t.linear("index_qk_proj", x, (heads + 1) * dim), heads * dim, dim)
            q = turn_heads(t, t.norm("q_layernorm", q, style=STYLE, width=dim), dim, None)
            k = turn_heads(t, t.norm("k_layernorm", k, style=STYLE), dim, None)
            return t.index(
                q,
                k,
                None,
                heads=heads,
                key_dim=dim,
                top_k=budget // ratio,
                block=ratio,
                ratio=ratio,
                causal=True,
            )

    return write


def ngrams(c: Config) -> dict[int, NGrams]:
    """The layers with n-gram embeddings, which the file counts from one."""
    given = c.items("ple_layer_ids") or []
    if not all(isinstance(place, int) and 0 < place <= c.layers for place in given):
        raise c.wrong("ple_layer_ids", "config_unknown_value", value=str(given)[:40])
    places = sorted(set(given))
    if not places:
        return {}
    width = c.maybe("ple_embed_dim") or c.hidden
    longest, heads = c.size("ngram_size", least=2), c.size("heads_per_ngram")
    tables = (longest - 1) * heads
    if tables * len(places) > MOST_TABLES or width % tables:
        raise c.wrong("heads_per_ngram", "config_not_divisible", value=tables, of=width)
    base, multiple = c.size("ngram_vocab_size_base"), c.size("make_ngram_vocab_size_divisible_by")
    kernel, streams = c.size("ple_conv_kernel_size"), c.count("hc_count")
    return {
        place - 1: NGrams(longest, heads, base, multiple, width, i, kernel, streams)
        for i, place in enumerate(places)
    }


@decoder("qwen4_exp_text")
def qwen4_exp_text(c: Config, m: ModelBuilder) -> None:
    """Qwen4-Exp, text; its first sparse layer also keeps three position numbers of each token."""
    usual = every(c.size("full_attention_interval", 4), c.layers, first="linear_attention", last=SPARSE)
    types = [SPARSE if kind == "full_attention" else kind for kind in kinds(c, "layer_types", usual)]
    if not set(types) <= {SPARSE, "linear_attention"}:
        raise c.wrong("layer_types", "config_unknown_value", value=str(sorted(set(types)))[:40])
    delta = GatedDelta(
        c.size("linear_num_key_heads"),
        c.size("linear_num_value_heads"),
        c.size("linear_key_head_dim"),
        c.size("linear_value_head_dim"),
        c.size("linear_conv_kernel_dim"),
    )
    rank, streams, lookups = c.size("hc_lowrank"), c.count("hc_count"), ngrams(c)
    mixture = shared_experts(c)

    first = types.index(SPARSE) if SPARSE in types else -1

    def attention(t: Trace, x: Tensor, positions: int) -> Tensor:
        block_indexer(c)(t, x)
        kept = c.size("indexer_head_dim")
        return gated_attention(
            t, x, Heads.of(c), bias=c.flag("attention_bias"), indexer_dim=kept, positions=positions
        )

    def layer(t: Trace, x: Tensor, kind: str, looked_up: NGrams | None, positions: int) -> Tensor:
        x = t.add(x, ngram_layer(t, x, looked_up)) if looked_up else x
        mixer = (
            partial(attention, positions=positions)
            if kind == SPARSE
            else partial(gated_delta, g=delta, fused=False)
        )
        x = connected(t, x, c.hidden, rank, "attn_hyper_connection", mixer)
        return connected(t, x, c.hidden, rank, "mlp_hyper_connection", mixture)

    def mixed(t: Trace) -> Tensor:
        with t.scope("hyper_connection_mixer"):
            return read(t, t.input(streams * c.hidden), c.hidden, rank)[0]

    m.embed("embed_tokens", c.vocab, c.hidden)
    m.single("embedding", lambda t: t.elementwise("repeat", t.input(c.hidden), width=streams * c.hidden))
    m.stack(
        c.layers,
        layer,
        width=streams * c.hidden,
        kinds=lambda i: (types[i], lookups.get(i), 3 if i == first else 0),
    )
    m.single("norm", mixed)
