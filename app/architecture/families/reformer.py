"""Reformer (arXiv 2001.04451): reversible layers of local and hashed attention in chunks."""

from functools import partial

from ..blocks.attention import Heads, attend, grouped
from ..blocks.feed_forward import plain
from ..blocks.residual import branch, pre_norm
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, KeyValueCache, Role, Tensor
from ..trace import Trace, column, row
from .long_inputs import Chunked
from .registry import family


def hashed(t: Trace, x: Tensor, shape: Heads, chunked: Chunked) -> Tensor:
    """Queries that are their own keys, compared within buckets of a hash; the layer's input is kept."""
    with t.scope("attention"):
        q = t.linear("self_attention.query_key", x, shape.query_width, split=column(shape.heads))
        v = t.linear("self_attention.value", x, shape.value_width, split=column(shape.heads))
        chunked.hash(t, q, shape)
        k = t.norm("", q, style="rms_plain", width=shape.head_dim)
        return t.linear("output.dense", attend(t, q, k, v, shape), x.width, split=row(shape.heads))


def local(t: Trace, x: Tensor, shape: Heads) -> Tensor:
    """Attention within a chunk and the one before; the layer's input is remembered."""
    names = ("self_attention.query", "self_attention.key", "self_attention.value", "output.dense")
    return grouped(t, x, shape, module="attention", names=names)


def axial(c: Config, t: Trace) -> None:
    """Positions as sums of rows and columns of a grid."""
    grid, widths = c.items("axial_pos_shape") or [64, 64], c.items("axial_pos_embds_dim") or [64, 192]
    if len(grid) != len(widths) or not all(isinstance(n, int) and 0 < n < 2**31 for n in [*grid, *widths]):
        raise c.wrong("axial_pos_shape", "config_not_list", value=str(grid)[:40])
    for i, width in enumerate(widths):
        shape = tuple(extent if j == i else 1 for j, extent in enumerate(grid))
        t.hold(t.parameter(f"position_embeddings.weights.{i}", (*shape, width), Role.EMBEDDING))


@family("reformer")
def reformer(c: Config, m: ModelBuilder) -> None:
    """Two streams take turns; the head reads both."""
    types = c.items("attn_layers") or ["local", "lsh"] * 3
    if not all(kind in ("local", "lsh") for kind in types):
        raise c.wrong("attn_layers", "config_not_list", value=str(types)[:40])
    dim, drop, kept = (
        c.size("attention_head_size"),
        c.number("hidden_dropout_prob", 0.0),
        KeyValueCache(1, c.hidden, 0),
    )
    chunked = Chunked(c, types)
    mlp = partial(
        plain,
        inner=c.size("feed_forward_size"),
        module="feed_forward",
        names=("dense.dense", "output.dense"),
        activation=c.text("hidden_act", "relu"),
    )
    norms = ("attention.layer_norm", "feed_forward.layer_norm")

    def layer(t: Trace, x: Tensor, kind: str) -> Tensor:
        shape = Heads(
            c.heads,
            c.heads,
            dim,
            rotary_dim=0,
            chunk=chunked.sizes[kind],
            dropout=c.number(f"{kind}_attention_probs_dropout_prob", 0.0),
            kept=kept,
            pattern=chunked.blocks(kind),
        )
        mixer = (
            partial(hashed, chunked=chunked, shape=shape) if kind == "lsh" else partial(local, shape=shape)
        )
        with t.spanned(chunked.padded):
            return pre_norm(t, x, mixer, mlp, names=norms, style="layer", dropout=drop)

    def embed(t: Trace) -> Tensor:
        x = t.embedding("word_embeddings", c.vocab, c.hidden)
        if c.flag("axial_pos_embds", True):
            axial(c, t)
            places = t.input(c.hidden, Axis.SEQUENCE)
        else:
            rows = c.size("max_position_embeddings")
            places = t.embedding("position_embeddings.embedding", rows, c.hidden, axis=Axis.SEQUENCE)
        return branch(t, t.add(x, places), drop)

    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    with m.prefix("reformer"):
        m.single("embedding", embed, name="embeddings")
        m.stack(len(types), layer, width=c.hidden, name="encoder.layers.{}", kinds=lambda i: types[i])
        m.final_norm("encoder.layer_norm", 2 * c.hidden, style="layer")
    m.head("lm_head.decoder", 2 * c.hidden, c.vocab, tied=False, beside="lm_head.bias")
