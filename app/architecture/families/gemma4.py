"""Gemma 4: wider global heads, keys that serve as values, borrowed caches, experts beside a dense block."""

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from ..blocks.attention import Heads
from ..blocks.feed_forward import fused_experts, gated
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Role, Tensor
from ..trace import Trace
from .gemma3n import STYLE, borrowers, borrowing_attention, layer_embeddings, layer_input
from .llama import every
from .mixtures import chosen, kinds
from .registry import body, decoder, family, softcap


class Layer(Struct, frozen=True):
    """What tells one layer from another."""

    kind: str
    borrows: bool
    kv_heads: int
    head_dim: int

    def __str__(self) -> str:
        return f"{self.kind}{', borrows keys and values' if self.borrows else ''}"


def layer_kinds(c: Config) -> list[str]:
    """Windows in five of six layers; the last one is global whatever the list says."""
    types = kinds(c, "layer_types", every(6, c.layers), ("sliding_attention", "full_attention"))
    return [*types[:-1], "full_attention"]


def layers_of(c: Config, *, all_may: bool = False) -> list[Layer]:
    """Every layer's kind and heads: `per_layer_config`, else `global_head_dim` and its key-value heads."""
    types = layer_kinds(c)
    borrows = borrowers(c, types, all_may=all_may)
    stated = c.mapping("per_layer_config")
    alike = c.flag("attention_k_eq_v") or c.get("attention_k_eq_v") is None
    fewer = c.maybe("num_global_key_value_heads") if alike else None
    wide = {"head_dim": c.size("global_head_dim", 512)} | ({"num_key_value_heads": fewer} if fewer else {})

    def layer(i: int) -> Layer:
        usual = wide if types[i] == "full_attention" else {}
        own = stated.get(str(i), stated.get(i, {})) if stated else usual  # type: ignore[call-overload]
        view = Config(dict(c.data) | (dict(own) if isinstance(own, Mapping) else {}), c.model_type, c.path)
        if c.heads % view.kv_heads:
            raise c.wrong("num_key_value_heads", "config_not_divisible", value=view.kv_heads, of=c.heads)
        return Layer(types[i], borrows[i], view.kv_heads, view.head_dim)

    return [layer(i) for i in range(c.layers)]


def window(c: Config) -> int:
    """The window; bidirectional models state twice its reach."""
    size = c.size("sliding_window")
    return size // 2 + 1 if c.get("use_bidirectional_attention") == "all" else size


def expert_branch(t: Trace, x: Tensor, c: Config, activation: str) -> Tensor:
    """Routed experts on the residual, their router's input normalised and scaled."""
    count, used = chosen(c, "num_experts", "top_k_experts")
    with t.scope("router"):
        t.hold(t.parameter("scale", (x.width,), Role.ROUTER))
        normed = t.elementwise("scale", t.norm("norm", x, style="rms_plain", weight=False))
        scores = t.linear("proj", normed, count, role=Role.ROUTER)
        weights = t.route(scores, count, used, t.parameter("per_expert_scale", (count,), Role.ROUTER))
    inside = t.norm("pre_feedforward_layernorm_2", x, style=STYLE)
    out = fused_experts(
        t,
        inside,
        weights,
        count=count,
        top_k=used,
        inner=c.size("moe_intermediate_size"),
        activation=activation,
    )
    return t.norm("post_feedforward_layernorm_2", out, style=STYLE)


def layer_writer(c: Config, extra: int, sparse: bool) -> Callable[[Trace, Tensor, Layer], Tensor]:
    """How one layer is written down; `extra`: the width of a layer's own embedding."""
    act, bias = c.text("hidden_activation"), c.flag("attention_bias")
    alike, double = c.flag("attention_k_eq_v"), c.flag("use_double_wide_mlp")

    def write(t: Trace, x: Tensor, kind: Layer) -> Tensor:
        local = kind.kind == "sliding_attention"
        heads = Heads(
            c.heads,
            kind.kv_heads,
            kind.head_dim,
            window=window(c) if local else None,
            cached=not kind.borrows,
            dropout=c.number("attention_dropout", 0.0),
            causal=c.get("use_bidirectional_attention") != "all",
        )
        mixed = borrowing_attention(
            t,
            t.norm("input_layernorm", x, style=STYLE),
            heads,
            borrows=kind.borrows,
            bias=bias,
            keys_are_values=alike and not local,
        )
        x = t.add(x, t.norm("post_attention_layernorm", mixed, style=STYLE))
        fed = t.norm("pre_feedforward_layernorm", x, style=STYLE)
        fed = gated(t, fed, c.inner * (2 if double and kind.borrows else 1), activation=act)
        if sparse:
            fed = t.norm("post_feedforward_layernorm_1", fed, style=STYLE)
            fed = t.add(fed, expert_branch(t, x, c, act))
        x = t.add(x, t.norm("post_feedforward_layernorm", fed, style=STYLE))
        if extra:
            x = t.add(x, layer_input(t, x, extra, act, c.hidden))
        t.hold(t.parameter("layer_scalar", (1,), buffer=True))
        return t.elementwise("scale", x)

    return write


def stack(
    c: Config, m: ModelBuilder, layers: Sequence[Layer], *, extra: int = 0, sparse: bool = False
) -> None:
    """Embeddings, layers, final norm."""
    m.embed("embed_tokens", c.vocab, c.hidden, scale=True)
    if extra:
        layer_embeddings(c, m, extra)
    m.stack(c.layers, layer_writer(c, extra, sparse), width=c.hidden, kinds=lambda i: layers[i])
    m.final_norm("norm", c.hidden, style=STYLE)


@decoder("gemma4_text")
def gemma4_text(c: Config, m: ModelBuilder) -> None:
    """Gemma 4, text."""
    extra = c.size("hidden_size_per_layer_input", least=0)
    stack(c, m, layers_of(c), extra=extra, sparse=c.flag("enable_moe_block"))


@decoder("gemma4_unified_text")
def gemma4_unified_text(c: Config, m: ModelBuilder) -> None:
    """Gemma 4 without experts and layers' own embeddings."""
    stack(c, m, layers_of(c))


def assistant_body(c: Config, m: ModelBuilder) -> None:
    """The drafting model's layers: all may borrow the keys and values of the model they draft for."""
    stack(c, m, layers_of(c, all_may=True))


@family("gemma4_assistant", "gemma4_unified_assistant")
def assistant(c: Config, m: ModelBuilder) -> None:
    """A drafter for speculative decoding: joins the big model's states to its own embeddings."""
    text = c.sub("text_config")
    if not text.size("num_kv_shared_layers", 0, least=0):
        text = Config({**text.data, "num_kv_shared_layers": text.layers}, text.model_type, text.path)
    big = c.size("backbone_hidden_size")
    m.single("projector", lambda t: t.linear("pre_projection", t.input(2 * big), text.hidden))
    with m.prefix("model"):
        assistant_body(text, m)
    m.single("projector", lambda t: t.linear("post_projection", t.input(text.hidden), big))
    m.head("lm_head", text.hidden, text.vocab, tied=c.tied, after=softcap(text))
    if c.flag("use_ordered_embeddings"):
        m.single("head", lambda t: ordered_head(t, text.hidden, c.size("num_centroids"), text.vocab))


def ordered_head(t: Trace, hidden: int, centroids: int, vocab: int) -> Tensor:
    """Tokens grouped around centroids, of which the best are looked into."""
    with t.scope("masked_embedding"):
        t.hold(t.parameter("token_ordering", (vocab,), buffer=True, dtype="int64"))
        return t.linear("centroids", t.input(hidden), centroids)


body("gemma4_assistant", "gemma4_unified_assistant")(assistant)
