"""Zamba and Zamba2: state-space layers, some of them with a transformer block whose weights they share."""

from collections.abc import Callable
from functools import partial

from ..blocks.attention import Heads, attend, grouped, turn
from ..blocks.feed_forward import gated
from ..blocks.recurrent import Mamba, Mamba2, mamba, mamba2
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Part, Tensor
from ..trace import Trace, column, columns, row
from .mamba import inner_width, step_rank
from .mixtures import Half, named
from .registry import decoder

Layers = list[tuple[int, ...]]


def block_types(c: Config, otherwise: list[str]) -> list[str]:
    """The kind of each layer: `hybrid` ones begin with the shared block."""
    types = c.items("layers_block_type") or otherwise
    if len(types) < c.layers:
        raise c.wrong("layers_block_type", "config_layer_types", value=len(types), layers=c.layers)
    return named(c, "layers_block_type", types[: c.layers], ("linear_attention", "hybrid"))


def stack(
    c: Config,
    m: ModelBuilder,
    types: list[str],
    mixer: Half,
    shared: Callable[[int], Half],
    *,
    module: str,
    blocks: int = 1,
) -> None:
    """Embedding; `blocks` shared blocks in turn at the hybrid layers; a mixer in all layers; final norm.

    transformers shares the blocks with the same switch as embedding and head, `tie_word_embeddings`.
    """
    hybrid = [i for i, kind in enumerate(types) if kind == "hybrid"]
    others = [i for i, kind in enumerate(types) if kind != "hybrid"]
    m.embed("embed_tokens", c.vocab, c.hidden)
    for block in range(min(blocks, len(hybrid))):
        places = hybrid[block::blocks]
        m.stack(
            len(places),
            shared(block),
            width=c.hidden,
            name=f"layers.{{}}.{module}",
            component="shared",
            shares=c.tied,
            at=places,
        )

    def after_shared(t: Trace, x: Tensor) -> Tensor:
        added = t.linear("linear", t.input(c.hidden), c.hidden)
        return state_space(t, x, added, "mamba_decoder")

    def state_space(t: Trace, x: Tensor, added: Tensor | None, name: str) -> Tensor:
        with t.scope(name):
            inside = x if added is None else t.add(x, added)
            return t.add(x, mixer(t, t.norm("input_layernorm", inside)))

    if hybrid:
        m.stack(len(hybrid), after_shared, width=c.hidden, at=hybrid)
    if others:
        m.stack(len(others), lambda t, x: state_space(t, x, None, ""), width=c.hidden, at=others)
    m.final_norm("final_layernorm", c.hidden)


def transformer(t: Trace, x: Tensor, attention: Half, feed_forward: Half) -> Tensor:
    """The shared block: the stream beside the first embeddings through attention and a feed-forward block."""
    both = t.concat(x, t.input(x.width))
    x = attention(t, t.norm("input_layernorm", both))
    return feed_forward(t, t.norm("pre_ff_layernorm", x))


@decoder("zamba")
def zamba(c: Config, m: ModelBuilder) -> None:
    """Zamba (arXiv 2405.16712): one shared block."""
    inner, heads = inner_width(c, "mamba_expand"), c.size("n_mamba_heads")
    if inner % heads:
        raise c.wrong("n_mamba_heads", "config_not_divisible", value=heads, of=inner)
    shape = Mamba(
        inner,
        c.size("mamba_d_state"),
        c.size("mamba_d_conv"),
        step_rank(c, "mamba_dt_rank"),
        c.flag("mamba_proj_bias"),
        c.flag("mamba_conv_bias", True),
        heads=heads,
    )
    width = c.maybe("attention_hidden_size") or 2 * c.hidden
    if width != 2 * c.hidden:
        raise c.wrong("attention_hidden_size", "config_unknown_value", value=width)
    head_dim = c.maybe("attention_head_dim") or 2 * c.hidden // c.heads
    attention = partial(grouped, shape=Heads(c.heads, c.kv_heads, head_dim, rotary_dim=0), width=c.hidden)
    act = c.text("hidden_act", "gelu")
    period, offset = c.size("attn_layer_period"), c.size("attn_layer_offset", least=0)
    types = ["linear_attention", "linear_attention", "hybrid"]
    types += ["hybrid" if i % period == offset else "linear_attention" for i in range(c.layers - 3)]
    feed_forward = partial(gated, inner=c.inner, module="feed_forward", activation=act)
    stack(
        c,
        m,
        block_types(c, types),
        partial(mamba, m=shape, module="mamba"),
        lambda block: partial(transformer, attention=attention, feed_forward=feed_forward),
        module="shared_transf",
    )


def adapter(t: Trace, x: Tensor, name: str, places: list[int], rank: int, width: int) -> Tensor:
    """The low-rank adapter of one place; those of the block's other places are there too."""
    low = t.linear(f"{name}.{places[0]}.0", x, rank)
    out = t.linear(f"{name}.{places[0]}.1", low, width)
    for place in places[1:]:
        t.unused_linear(f"{name}.{place}.0", x.width, rank)
        t.unused_linear(f"{name}.{place}.1", rank, width)
    return out


def adapted_attention(
    t: Trace, x: Tensor, shape: Heads, places: list[int], rank: int | None, width: int
) -> Tensor:
    """Attention over both streams; with `rank`, every place has adapters on query, key and value."""
    with t.scope("self_attn"):
        sizes = {"q": shape.query_width, "k": shape.key_width, "v": shape.value_width}
        parts = []
        for letter, size in sizes.items():
            made = t.linear(f"{letter}_proj", x, size, split=column(shape.heads))
            if rank:
                made = t.add(made, adapter(t, x, f"linear_{letter}_adapter_list", places, rank, x.width))
            parts.append(made)
        q, k = turn(t, parts[0], parts[1], shape)
        out = attend(t, q, k, parts[2], shape)
        return t.linear("o_proj", out, width, split=row(shape.heads))


def adapted_gated(
    t: Trace, x: Tensor, inner: int, places: list[int], rank: int, bias: bool, act: str
) -> Tensor:
    """A fused gated block with an adapter for every place."""
    with t.scope("feed_forward"):
        halves = columns(Part(inner, inner), Part(inner, inner))
        both = t.linear("gate_up_proj", x, 2 * inner, bias=bias, split=halves)
        both = t.add(both, adapter(t, x, "gate_up_proj_adapter_list", places, rank, 2 * inner))
        gate, up = t.split(both, inner, inner, kind="chunk")
        product = t.multiply(t.elementwise(act, gate), up)
        return t.linear("down_proj", product, x.width, bias=bias, split=row(inner))


@decoder("zamba2")
def zamba2(c: Config, m: ModelBuilder) -> None:
    """Zamba2 (arXiv 2411.15242): shared blocks in turn, a low-rank adapter for each place."""
    inner, heads, groups = inner_width(c, "mamba_expand"), c.size("n_mamba_heads"), c.size("mamba_ngroups")
    if inner % heads or heads % groups:
        raise c.wrong("n_mamba_heads", "config_not_divisible", value=heads, of=inner)
    bias, rank = c.flag("add_bias_linear"), c.size("adapter_rank")
    shape = Mamba2(
        inner,
        heads,
        inner // heads,
        c.size("mamba_d_state"),
        groups,
        c.size("mamba_d_conv"),
        c.size("chunk_size"),
        bias,
        norm_groups=groups,
    )
    turned = None if c.flag("use_mem_rope") else 0
    attention = Heads(c.heads, c.kv_heads, 2 * c.hidden // c.heads, rotary_dim=turned)
    blocks = c.count("num_mem_blocks")
    types = block_types(c, usual_types(c))
    hybrids = types.count("hybrid")
    feed_width = c.maybe("intermediate_size") or 4 * c.hidden

    def shared(block: int) -> Half:
        places = list(range(block, hybrids, blocks))
        return partial(
            transformer,
            attention=partial(
                adapted_attention,
                shape=attention,
                places=places,
                rank=rank if c.flag("use_shared_attention_adapter") else None,
                width=c.hidden,
            ),
            feed_forward=partial(
                adapted_gated,
                inner=feed_width,
                places=places,
                rank=rank,
                bias=bias,
                act=c.text("hidden_act", "gelu"),
            ),
        )

    stack(
        c,
        m,
        types,
        partial(mamba2, m=shape, module="mamba"),
        shared,
        module="shared_transformer",
        blocks=blocks,
    )


def usual_types(c: Config) -> list[str]:
    """Zamba2's own sequence of layers, 54 long."""
    single = ["linear_attention"]
    return (
        single
        + (single * 5 + ["hybrid"]) * 7
        + single * 4
        + ["hybrid"]
        + single * 3
        + ["hybrid"]
        + single * 2
    )
