"""Mistral Large 4: sparse latent attention whose layers may borrow latents and choices, Pixtral before it."""

from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from ..blocks.latent import Indexer, Latent
from ..blocks.latent import index_turn as turned_index
from ..builder import ModelBuilder
from ..config import Config
from ..operations import KeyValueCache, Role, Tensor
from ..trace import Trace, column, row
from .glm_moe import indexer_types
from .llava import mistral3
from .mixtures import Half, dense, experts, kinds, layers, sparse_after
from .registry import body, family

family("mistral_large4")(mistral3)


class Mixer(Struct, frozen=True):
    """What tells one layer's attention from another's."""

    turned: bool
    borrows: bool
    indexes: bool

    def __str__(self) -> str:
        told = (
            "" if self.turned else "no positions",
            "borrows its latent" if self.borrows else "",
            "" if self.indexes else "borrows its choice",
        )
        return ", ".join(part for part in told if part) or "full"


def mixers(c: Config) -> list[Mixer]:
    """Every layer's, by `no_rope_layers`, `kv_source_layers` and `indexer_types`."""
    period = c.size("no_rope_layer_interval", 4)
    turned = c.items("no_rope_layers") or [(i + 1) % period for i in range(c.layers)]
    sources = c.items("kv_source_layers") or list(range(c.layers))
    for name, found in (("no_rope_layers", turned), ("kv_source_layers", sources)):
        if len(found) < c.layers or not all(isinstance(n, int) for n in found):
            raise c.wrong(name, "config_layer_types", value=len(found), layers=c.layers)
    types = kinds(c, "indexer_types", indexer_types(c), ("full", "shared"))
    return [Mixer(bool(turned[i]), sources[i] != i, types[i] == "full") for i in range(c.layers)]


def by_position(t: Trace, x: Tensor, heads: int) -> Tensor:
    """Each head times a + b log(position), both learned."""
    t.hold(
        *(t.parameter(f"softmax_scaling.{name}", (heads,), split=column(heads)) for name in ("scale", "bias"))
    )
    return t.elementwise("scale", x)


def choose(t: Trace, x: Tensor, i: Indexer, turned: bool) -> Tensor:
    """The tokens to look at; queries come out of the input itself, normalised."""
    with t.scope("indexer"):
        q = t.linear("wq_b", t.norm("q_input_norm", x, style="layer"), i.heads * i.head_dim)
        q = by_position(t, q, i.heads)
        k = t.norm("k_norm", t.linear("wk", x, i.head_dim), style="layer")
        if turned:
            q, k = (turned_index(t, y, i) for y in (q, k))
        weights = t.linear("weights_proj", x, i.heads, role=Role.OTHER)
        return t.index(q, k, weights, heads=i.heads, key_dim=i.head_dim, top_k=i.top_k)


def latents(t: Trace, x: Tensor, a: Latent, bias: bool, turned: bool) -> tuple[Tensor, Tensor]:
    """The layer's own latent and the turned part of its keys."""
    low = t.linear("kv_a_proj_with_mqa", x, a.kv_rank + a.rope_dim, bias=bias)
    kv, k_rope = t.split(low, a.kv_rank, a.rope_dim)
    kv = t.norm("kv_a_layernorm", kv)
    return kv, t.rotary(k_rope, a.rope_dim) if turned else k_rope


def attention(t: Trace, x: Tensor, a: Latent, kind: Mixer, indexer: Indexer, bias: bool) -> Tensor:
    """Latent attention; layers without positions use the whole head for what is not turned."""
    split = column(a.heads)
    with t.scope("self_attn"):
        q = t.linear("q_proj", x, a.query_width, split=split)
        if kind.borrows:
            kv, k_rope = t.input(a.kv_rank), t.input(a.rope_dim)
        else:
            kv, k_rope = latents(t, x, a, bias, kind.turned)
        if kind.turned:
            passed, rest = t.split(q, a.heads * a.nope_dim, a.heads * a.rope_dim)
            q = t.concat(passed, t.rotary(rest, a.rope_dim))
        q = by_position(t, q, a.heads)
        expanded = t.linear("kv_b_proj", kv, a.heads * (a.nope_dim + a.value_dim), split=split)
        k_nope, v = t.split(expanded, a.heads * a.nope_dim, a.heads * a.value_dim)
        k = t.concat(k_nope, t.view(k_rope, a.heads * a.rope_dim, kind="expand")) if a.rope_dim else k_nope
        if kind.indexes:
            choose(t, x, indexer, kind.turned)
        width = indexer.head_dim if kind.indexes else 0
        parts = () if kind.borrows else (a.kv_rank, a.rope_dim)
        kept = KeyValueCache(0 if kind.borrows else a.heads, a.key_dim, a.value_dim,
                             latent_parts=parts, indexer_dim=width)  # fmt: skip
        keeps = not kind.borrows or kind.indexes
        out = t.attention(
            q, k, v, heads=a.heads, kv_heads=a.heads, key_dim=a.key_dim, value_dim=a.value_dim,
            dropout=a.dropout, cached=keeps, kept=kept if keeps else None,
        )  # fmt: skip
        return t.linear("o_proj", out, x.width, bias=bias, split=row(a.heads))


@body("mistral_large4_text")
def mistral_large4_text(c: Config, m: ModelBuilder) -> None:
    """Every fourth layer without positions; experts chosen by softmax beside a shared one."""
    whole, indexer, bias = Latent.of(c, query_rank=None), Indexer.of(c), c.flag("attention_bias")
    still = replace(whole, nope_dim=whole.key_dim, rope_dim=0)
    shared = c.size("moe_intermediate_size") * c.size("n_shared_experts")

    def mixer(kind: Mixer) -> Half:
        shape = whole if kind.turned else still
        return partial(attention, a=shape, kind=kind, indexer=indexer, bias=bias)

    m.single(
        "embedding",
        lambda t: t.hold(t.parameter("rotary_emb.alpha", (whole.rope_dim // 2,), buffer=True)),
    )
    layers(
        c,
        m,
        mixer,
        lambda sparse: experts(c, "n_routed_experts", shared_inner=shared) if sparse else dense(c),
        mixers=mixers(c),
        feeds=sparse_after(c, c.size("first_k_dense_replace", least=0)),
    )
