"""What mixture-of-experts and hybrid lineages share: layers of several kinds, and experts by field names."""

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, Final

from ..blocks.attention import Heads
from ..blocks.feed_forward import gated, sparse
from ..blocks.residual import pre_norm
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Tensor
from ..trace import Trace
from .llama import activation

Half = Callable[[Trace, Tensor], Tensor]

# What transformers 5 calls the kinds of hybrid layers, by the names in older files.
OLDER_NAMES: Final = {
    "mamba": "linear_attention",
    "attention": "full_attention",
    "deepseek_sparse_attention": "indexed_attention",
    "qwen_sparse_attention": "indexed_attention",
}


def layers(
    c: Config,
    m: ModelBuilder,
    mixer: Callable[[Any], Half],
    feed_forward: Callable[[Any], Half | None],
    *,
    mixers: Sequence[Hashable] | None = None,
    feeds: Sequence[Hashable] | None = None,
    wrap: Callable[..., Tensor] = pre_norm,
    style: str = "rms",
    embed: str = "embed_tokens",
    final: str = "norm",
    count: int | None = None,
    scale: bool = False,
    name: str = "layers.{}",
    final_bias: bool | None = None,
    **options: Any,
) -> None:
    """Embedding, layers whose halves differ by `mixers` and `feeds`, final norm.

    `options` go to `wrap`, which places norms and residuals; `scale`: embeddings times a constant.
    """
    depth = count or c.layers

    def layer(t: Trace, x: Tensor, a: Hashable, b: Hashable) -> Tensor:
        return wrap(t, x, mixer(a), feed_forward(b), style=style, **options)

    m.embed(embed, c.vocab, c.hidden, scale=scale)
    m.stack(
        depth,
        layer,
        width=c.hidden,
        name=name,
        kinds=lambda i: (mixers[i] if mixers else "", feeds[i] if feeds else ""),
    )
    m.final_norm(final, c.hidden, style=style, bias=final_bias)


def kinds(c: Config, name: str, otherwise: Sequence[str], allowed: Sequence[str] = ()) -> list[str]:
    """A list with one name a layer; given lists are checked, their older names translated."""
    types = c.items(name) or list(otherwise)
    if len(types) < c.layers:
        raise c.wrong(name, "config_layer_types", value=len(types), layers=c.layers)
    return named(c, name, types[: c.layers], allowed)


def named(c: Config, name: str, types: Sequence[Any], allowed: Sequence[str] = ()) -> list[str]:
    """The kinds of layers in today's names, each of them `allowed` [any]."""
    found = []
    for kind in types:
        kind = OLDER_NAMES.get(kind, kind) if isinstance(kind, str) else kind
        if not isinstance(kind, str) or (allowed and kind not in allowed):
            raise c.wrong(name, "config_unknown_value", value=str(kind)[:40])
        found.append(kind)
    return found


def sparse_after(c: Config, dense: int) -> list[bool]:
    """Which layers have experts: by `mlp_layer_types`, else all but the first `dense`."""
    otherwise = ["sparse" if i >= dense else "dense" for i in range(c.layers)]
    return [kind != "dense" for kind in kinds(c, "mlp_layer_types", otherwise)]


def window_of(c: Config, kind: Hashable) -> int | None:
    """The window of a layer of this kind."""
    return c.maybe("sliding_window") if kind == "sliding_attention" else None


def heads_of(c: Config, kind: Hashable, **changes: object) -> Heads:
    """The heads of a layer of this kind: a window where it is a sliding one."""
    return Heads.of(c, **{"window": window_of(c, kind), **changes})


def chosen(
    c: Config, count: str, top_k: str, number: int | None = None, few: int | None = None
) -> tuple[int, int]:
    """How many experts there are [`number`] and how many a token uses [`few`, else all of them]."""
    experts = c.count(count, number)
    used = c.size(top_k, few or experts)
    if used > experts:
        raise c.wrong(top_k, "config_out_of_range", value=used, least=1, most=experts)
    return experts, used


def experts(
    c: Config,
    count: str = "num_experts",
    top_k: str = "num_experts_per_tok",
    inner: str = "moe_intermediate_size",
    **options: Any,
) -> Half:
    """A mixture of experts by its field names; `options` go to the block."""
    number, used = chosen(c, count, top_k)
    return partial(sparse, count=number, top_k=used, inner=c.size(inner), activation=activation(c), **options)


def dense(c: Config, inner: str = "intermediate_size", **options: Any) -> Half:
    """A gated block by its field names."""
    return partial(gated, inner=c.size(inner), activation=activation(c), **options)
