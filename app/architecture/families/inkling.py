"""Inkling 1 and 2, text: learned relative positions, short convolutions everywhere, experts."""

from functools import partial

from ..blocks.attention import Heads
from ..blocks.feed_forward import fused_experts, gated, sparse
from ..blocks.relative import Relative, convolved, gated_relative, relative
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Part as Piece
from ..operations import Role, Split, Tensor
from ..trace import Trace
from .llama import activation
from .mixtures import chosen, kinds
from .registry import decoder

LOCAL, STYLE = "hybrid_sliding", "rms_wide"


def shape(c: Config, local: bool) -> Relative:
    """The attention of a local or a global layer."""
    prefix = "swa_" if local else ""
    heads, kv_heads = c.size(f"{prefix}num_attention_heads"), c.size(f"{prefix}num_key_value_heads")
    if heads % kv_heads:
        raise c.wrong(f"{prefix}num_key_value_heads", "config_not_divisible", value=kv_heads, of=heads)
    window = c.size("sliding_window_size") if local else None
    made = Heads(
        heads,
        kv_heads,
        c.size(f"{prefix}head_dim"),
        rotary_dim=0,
        window=window,
        score_bias=True,
        dropout=c.number("attention_dropout", 0.0),
    )
    return Relative(made, c.size("d_rel"), window or c.size("rel_extent"), c.size("conv_kernel_size"))


def layer_kinds(c: Config) -> list[str]:
    """Local layers by `local_layer_ids`, else five of six."""
    places = c.items("local_layer_ids")
    usual = [
        LOCAL if (i in places if places is not None else (i + 1) % 6) else "hybrid" for i in range(c.layers)
    ]
    return kinds(c, "layer_types", usual, (LOCAL, "hybrid"))


def shared_experts(t: Trace, x: Tensor, weights: Tensor, count: int, inner: int, act: str) -> Tensor:
    """Experts that every token uses, stacked in three tensors."""
    split = Split(1, (Piece(inner, inner),))
    with t.scope("shared_experts"):
        stacked = [
            t.parameter("gate_proj", (count, inner, x.width), Role.EXPERT, split=split, experts=count),
            t.parameter("up_proj", (count, inner, x.width), Role.EXPERT, split=split, experts=count),
            t.parameter(
                "down_proj",
                (count, x.width, inner),
                Role.EXPERT,
                split=Split(2, (Piece(0, inner),)),
                experts=count,
            ),
        ]
        return t.experts(x, weights, stacked, count=count, top_k=count, width=inner, activation=act)


def mixture(t: Trace, x: Tensor, c: Config) -> Tensor:
    """One router scores routed and shared experts together."""
    count, used = chosen(c, "n_routed_experts", "num_experts_per_tok")
    shared, inner = c.size("n_shared_experts"), c.size("moe_intermediate_size")
    with t.scope("mlp"):
        with t.scope("gate"):
            scores = t.linear("weight", x, count + shared, module=False, role=Role.ROUTER)
            t.hold(t.parameter("global_scale", (1,), Role.ROUTER))
            correction = t.parameter(
                "e_score_correction_bias", (count,), Role.ROUTER, buffer=True, dtype="float32"
            )
            weights = t.route(scores, count, used, correction, scoring="sigmoid")
        out = fused_experts(t, x, weights, count=count, top_k=used, inner=inner, activation=activation(c))
        return t.add(out, shared_experts(t, x, t.view(scores, shared), shared, inner, activation(c)))


def dense(t: Trace, x: Tensor, c: Config) -> Tensor:
    """A gated block with one factor for its output."""
    out = gated(t, x, c.inner, activation=activation(c))
    t.hold(t.parameter("mlp.global_scale", (1,)))
    return t.elementwise("scale", out)


@decoder("inkling_text", after=lambda c: ("scale",))
def inkling_text(c: Config, m: ModelBuilder) -> None:
    """Inkling, text."""
    types = layer_kinds(c)
    first = c.size("dense_mlp_idx", 0, least=0)
    feeds = kinds(c, "mlp_layer_types", ["dense" if i < first else "sparse" for i in range(c.layers)])
    kernel, style = c.size("conv_kernel_size"), STYLE

    def layer(t: Trace, x: Tensor, kind: str, feed: str) -> Tensor:
        scaled = kind != LOCAL and c.get("log_scaling_n_floor") is not None
        mixed = relative(t, t.norm("input_layernorm", x, style=style), shape(c, kind == LOCAL), scaled=scaled)
        x = t.add(x, convolved(t, mixed, kernel, "attn_sconv", c.hidden))
        half = mixture if feed == "sparse" else dense
        fed = half(t, t.norm("post_attention_layernorm", x, style=style), c)
        return t.add(x, convolved(t, fed, kernel, "mlp_sconv", c.hidden))

    m.embed("embed_tokens", c.vocab, c.hidden, norm="embed_tokens.embed_norm", style=style)
    m.stack(c.layers, layer, width=c.hidden, kinds=lambda i: (types[i], feeds[i]))
    m.final_norm("norm", c.hidden, style=style)


def reread(t: Trace, x: Tensor, name: str, states: int, queries: int = 1) -> list[Tensor]:
    """Attention over the residual stream as it stood at block boundaries, `states` with the present one, by
    learned queries in 32 bits."""
    width = x.width
    with t.scope(name):
        t.hold(t.parameter("query", (width,) if queries == 1 else (queries, width)))
    everything = t.concat(t.input((states - 1) * width), x) if states > 1 else x
    normed = t.norm("", everything, style="rms_plain", weight=False, width=width)
    scores = t.product(normed, normed, queries * states, width)
    out = t.product(t.elementwise("softmax", scores), normed, queries * width, states)
    return t.split(out, *[width] * queries)


@decoder("inkling2_text")
def inkling2_text(c: Config, m: ModelBuilder) -> None:
    """Inkling 2, text: every half layer reads the streams of earlier blocks."""
    types = layer_kinds(c)
    block = c.size("n_layers_per_attn_res_block")
    count, used = chosen(c, "n_routed_experts", "num_experts_per_tok")
    experts = partial(
        sparse,
        count=count,
        top_k=used,
        inner=c.size("moe_intermediate_size"),
        activation="softcapped_swiglu",
        correction="gate.e_score_correction_bias",
        scoring=c.text("scoring_func", "sigmoid"),
    )
    kernel = c.size("conv_kernel_size")

    def layer(t: Trace, x: Tensor, kind: str, first: bool, boundary: bool, states: int) -> Tensor:
        local = kind == LOCAL
        names = (
            ("input_layernorm",) if local else ("q_input_layernorm", "k_input_layernorm", "v_input_layernorm")
        )
        read = [x] * len(names) if first else reread(t, x, "attention_input", states, len(names))
        q, *rest = (t.norm(name, y, style=STYLE) for name, y in zip(names, read, strict=True))
        k, v = rest or (q, q)
        mixed = gated_relative(t, (q, k, v), shape(c, local), local=local)
        mixed = convolved(t, mixed, kernel, "post_attention_convolution", c.hidden)
        stream = mixed if boundary else t.add(x, mixed)
        fed = reread(t, stream, "mlp_input", states + boundary)[0]
        fed = experts(t, t.norm("post_attention_layernorm", fed, style=STYLE))
        return t.add(stream, convolved(t, fed, kernel, "post_mlp_convolution", c.hidden))

    m.embed("embed_tokens", c.vocab, c.hidden, norm="embed_tokens.embed_norm", style=STYLE)
    m.stack(
        c.layers,
        layer,
        width=c.hidden,
        kinds=lambda i: (types[i], i == 0, i % block == 0, 1 + -(-i // block)),
    )
    m.single("norm", lambda t: reread(t, t.input(c.hidden), "final_input", 1 + -(-c.layers // block))[0])
    m.final_norm("norm", c.hidden, style=STYLE)
