"""Attention with grouped queries, its projections separate or fused."""

from typing import Final, Self

from msgspec import Struct
from msgspec.structs import replace

from ..config import Config
from ..operations import KeyValueCache, Part, Role, Tensor
from ..spans import Pattern
from ..trace import Trace, column, columns, row


class Heads(Struct, frozen=True):
    """The shape of an attention layer: query heads, key-value heads, and the width of each head.

    `rotary_dim` None turns whole heads, 0 none at all; `joined`: turned heads are joined with the rest even
    where that is empty, which copies them. `window` and `chunk` bound what a query sees. `broadcast`: a
    single key-value head is handed to the core as it is. `pattern`, `einsum`: what plain PyTorch multiplies.
    """

    heads: int
    kv_heads: int
    head_dim: int
    value_dim: int | None = None
    rotary_dim: int | None = None
    joined: bool = False
    window: int | None = None
    chunk: int | None = None
    causal: bool = True
    cached: bool = True
    softcap: bool = False
    score_bias: bool = False
    float32_softmax: bool = True
    dropout: float = 0.0
    float32_scores: bool = False
    kept_heads: int = 0
    kept: KeyValueCache | None = None
    broadcast: bool = False
    pattern: Pattern | None = None
    einsum: bool = False

    @classmethod
    def of(cls, config: Config, **changes: object) -> Self:
        """Heads by the usual field names; partial rotation by `partial_rotary_factor`."""
        heads, kv_heads = config.heads, config.kv_heads
        if heads % kv_heads:
            raise config.wrong("num_key_value_heads", "config_not_divisible", value=kv_heads, of=heads)
        made = cls(
            heads,
            kv_heads,
            config.head_dim,
            rotary_dim=rotary_dim(config, config.head_dim),
            dropout=config.number("attention_dropout", 0.0),
        )
        return replace(made, **changes)

    @property
    def query_width(self) -> int:
        """Elements of all queries of a token."""
        return self.heads * self.head_dim

    @property
    def key_width(self) -> int:
        """Elements of all keys of a token."""
        return self.kv_heads * self.head_dim

    @property
    def value_width(self) -> int:
        """Elements of all values of a token."""
        return self.kv_heads * (self.value_dim or self.head_dim)

    @property
    def out_width(self) -> int:
        """Elements that enter the output projection."""
        return self.heads * (self.value_dim or self.head_dim)


# The turned share of a head where neither the file nor the class's fields state one (set while the
# configuration classes are built, so it is in no default).
TURNED_SHARE: Final = {
    "glm": 0.5,
    "glm4": 0.5,
    "glm4_moe": 0.5,
    "glm4v_moe_text": 0.5,
    "gpt_neox": 0.25,
    "nemotron": 0.5,
    "persimmon": 0.5,
    "phi": 0.5,
    "qwen3_5_moe_text": 0.25,
    "qwen3_5_text": 0.25,
    "qwen3_next": 0.25,
    "recurrent_gemma": 0.5,
    "stablelm": 0.25,
}


def rotary_dim(config: Config, head_dim: int) -> int | None:
    """How many elements of a head are turned; None for all."""
    share = rotary_share(config)
    return None if share == 1 else int(head_dim * share)


def rotary_share(config: Config) -> float:
    """The turned share of a head: as given in any of its places, else the architecture's own, else 1."""
    for share in (
        config.mapping("rope_parameters").get("partial_rotary_factor"),
        config.get("partial_rotary_factor"),
        config.get("rotary_pct"),
        TURNED_SHARE.get(config.model_type),
    ):
        if share is not None:
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
                raise config.wrong("partial_rotary_factor", "config_not_number", value=str(share)[:40])
            return float(share)
    return 1.0


def attend(t: Trace, q: Tensor, k: Tensor, v: Tensor, shape: Heads, **options: object) -> Tensor:
    """The core: queries, keys and values of a token to its mixed values."""
    return t.attention(
        q,
        k,
        v,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        key_dim=q.width // shape.heads,
        value_dim=shape.value_dim or shape.head_dim,
        window=shape.window,
        chunk=shape.chunk,
        causal=shape.causal,
        softcap=shape.softcap,
        bias=shape.score_bias,
        float32_softmax=shape.float32_softmax,
        dropout=shape.dropout,
        float32_scores=shape.float32_scores,
        broadcast=shape.broadcast,
        pattern=shape.pattern,
        einsum=shape.einsum,
        kept_heads=shape.kept_heads,
        kept=shape.kept,
        cached=shape.cached,
        **options,  # type: ignore[arg-type]
    )


def turn(t: Trace, q: Tensor, k: Tensor, shape: Heads) -> tuple[Tensor, Tensor]:
    """Rotary positions on queries and keys, where the layer has them."""
    if shape.rotary_dim == 0:
        return q, k
    q, k = (turn_heads(t, x, shape.head_dim, shape.rotary_dim) for x in (q, k))
    whole = shape.rotary_dim is None or shape.rotary_dim >= shape.head_dim
    return (t.concat(q), t.concat(k)) if shape.joined and whole else (q, k)


def turn_heads(t: Trace, x: Tensor, head_dim: int, rotary_dim: int | None) -> Tensor:
    """Rotary positions on every head; where only a part is turned, both parts are joined in a new tensor."""
    if rotary_dim is None or rotary_dim >= head_dim:
        return t.rotary(x, head_dim)
    heads = x.width // head_dim
    turned, passed = t.split(x, heads * rotary_dim, heads * (head_dim - rotary_dim), kind="slice")
    return t.concat(t.rotary(turned, rotary_dim), passed)


def grouped(
    t: Trace,
    x: Tensor,
    shape: Heads,
    *,
    module: str = "self_attn",
    names: tuple[str, str, str, str] = ("q_proj", "k_proj", "v_proj", "o_proj"),
    bias: bool = False,
    key_bias: bool | None = None,
    out_bias: bool | None = None,
    qk_norm: str | None = None,
    qk_style: str = "rms",
    qk_names: tuple[str, str] = ("q_norm", "k_norm"),
    qk_bias: bool | None = None,
    qk_weight: bool = True,
    sinks: bool = False,
    width: int | None = None,
    transposed: bool = False,
    norm_last: bool = False,
    out_norm: str | None = None,
    clip: bool = False,
    query_scale: bool = False,
    value_scale: bool = False,
    key_scale: bool = False,
    gate: str | None = None,
    gate_width: int | None = None,
    gate_kind: str = "sigmoid",
    gate_bias: bool = False,
    head_bias: str | None = None,
    indexer_dim: int = 0,
) -> Tensor:
    """Separate query, key, value and output projections.

    `qk_norm`: `head` normalises every head by itself, `full` the whole row, before rotation.
    `norm_last` normalises after rotation instead. `key_bias` [bias] tells a key projection that lacks
    what query and value have. `out_norm` names a norm before the output projection, `clip` bounds all
    three projections, `query_scale` multiplies queries by a factor of their position,
    `value_scale` values and
    `key_scale` keys by a constant. `gate` names a projection of the input whose sigmoid (or
    `gate_kind`) scales the output, every element of it or (`gate_width` = heads) every head;
    `head_bias` names a number for each head that is added before.
    `indexer_dim`: keys of an indexer kept beside the cache.
    """
    q_name, k_name, v_name, o_name = names
    kv_split = column(shape.kv_heads, replicate=True)
    with t.scope(module):
        q = t.linear(q_name, x, shape.query_width, bias=bias, split=column(shape.heads))
        k = t.linear(k_name, x, shape.key_width, bias=bias if key_bias is None else key_bias, split=kv_split)
        v = t.linear(v_name, x, shape.value_width, bias=bias, split=kv_split)
        if key_scale:
            k = t.elementwise("scale", k)
        if clip:
            q, k, v = (t.elementwise("clamp", x) for x in (q, k, v))
        if norm_last:
            q, k = turn(t, q, k, shape)
        if qk_norm:
            q, k = (
                t.norm(
                    name,
                    x,
                    style=qk_style,
                    bias=qk_bias,
                    weight=qk_weight,
                    width=_norm_width(shape, x, qk_norm),
                )
                for name, x in zip(qk_names, (q, k), strict=True)
            )
        if not norm_last:
            q, k = turn(t, q, k, shape)
        if query_scale:
            q = t.elementwise("scale", q)
        if value_scale:
            v = t.elementwise("scale", v)
        sink = t.parameter("sinks", (shape.heads,), split=column(shape.heads)) if sinks else None
        out = attend(t, q, k, v, shape, sinks=sink, indexer_dim=indexer_dim)
        if out_norm:
            out = t.norm(out_norm, out, style=qk_style)
        if gate:
            scores = t.linear(
                gate, x, gate_width or shape.out_width, bias=gate_bias, split=column(shape.heads)
            )
            out = scaled_by(t, out, scores, shape, gate_kind, head_bias)
        return t.linear(
            o_name, out, width or x.width, bias=bias if out_bias is None else out_bias, split=row(shape.heads)
        )


def scaled_by(
    t: Trace, out: Tensor, scores: Tensor, shape: Heads, kind: str, head_bias: str | None
) -> Tensor:
    """The output times a gate; `head_bias` names a number for each head that is added to it before."""
    if head_bias:
        t.hold(t.parameter(head_bias, (shape.heads,), Role.BIAS, split=column(shape.heads)))
        scores = t.elementwise("add", scores)
    return t.multiply(out, t.elementwise(kind, scores))


def _norm_width(shape: Heads, x: Tensor, kind: str) -> int:
    return shape.head_dim if kind == "head" else x.width


def fused(
    t: Trace,
    x: Tensor,
    shape: Heads,
    *,
    module: str = "self_attn",
    names: tuple[str, str] = ("qkv_proj", "o_proj"),
    bias: bool = False,
    out_bias: bool | None = None,
    transposed: bool = False,
    width: int | None = None,
    qk_norm: str | None = None,
    qk_style: str = "rms",
    qk_names: tuple[str, str] = ("q_norm", "k_norm"),
    clip: bool = False,
) -> Tensor:
    """One projection makes queries, keys and values side by side; `clip` bounds them."""
    parts = (
        Part(shape.query_width, shape.heads),
        Part(shape.key_width, shape.kv_heads, True),
        Part(shape.value_width, shape.kv_heads, True),
    )
    with t.scope(module):
        total = shape.query_width + shape.key_width + shape.value_width
        split = columns(*parts)
        qkv = t.linear(names[0], x, total, bias=bias, split=split, transposed=transposed)
        if clip:
            qkv = t.elementwise("clamp", qkv)
        q, k, v = t.split(qkv, shape.query_width, shape.key_width, shape.value_width)
        if qk_norm:
            q, k = (
                t.norm(name, x, style=qk_style, width=_norm_width(shape, x, qk_norm))
                for name, x in zip(qk_names, (q, k), strict=True)
            )
        q, k = turn(t, q, k, shape)
        out = attend(t, q, k, v, shape)
        return t.linear(
            names[1],
            out,
            width or x.width,
            bias=bias if out_bias is None else out_bias,
            split=row(shape.heads),
            transposed=transposed,
        )
