"""Gemma 3n: alternating updates of several streams, a low-rank residual, inputs of every layer, shared caches."""

from typing import NamedTuple

from ..blocks.attention import Heads, attend
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Role, Tensor
from ..trace import Trace, column, row
from .llama import every
from .registry import decoder


class Layer(NamedTuple):
    """What tells one layer from another."""

    window: int | None
    reuses: bool
    inner: int
    is_sparse: bool


def attention(t: Trace, x: Tensor, shape: Heads, *, reuses: bool, bias: bool) -> Tensor:
    """Normalised queries, keys and values, unscaled scores; keys and values may be another layer's."""
    style, kv_split = "rms_wide", column(shape.kv_heads, replicate=True)
    with t.scope("self_attn"):
        q = t.linear("q_proj", x, shape.query_width, bias=bias, split=column(shape.heads))
        q = t.rotary(t.norm("q_norm", q, style=style, width=shape.head_dim), shape.head_dim)
        if reuses:
            k, v = t.input(shape.key_width), t.input(shape.value_width)
        else:
            k = t.linear("k_proj", x, shape.key_width, bias=bias, split=kv_split)
            k = t.rotary(t.norm("k_norm", k, style=style, width=shape.head_dim), shape.head_dim)
            v = t.linear("v_proj", x, shape.value_width, bias=bias, split=kv_split)
            v = t.norm("v_norm", v, style="rms_plain", width=shape.head_dim)
        return t.linear("o_proj", attend(t, q, k, v, shape), x.width, bias=bias, split=row(shape.heads))


def modalities(t: Trace, x: Tensor, streams: int) -> Tensor:
    """The router's say on each stream; both halves of an update use it."""
    x = t.elementwise("scale", t.norm("router_norm", x, style="rms_wide"))
    return t.elementwise("tanh", t.linear("modality_router", x, streams, role=Role.ROUTER))


def predict(t: Trace, x: Tensor, active: Tensor, streams: int) -> Tensor:
    """Every stream plus a mixture of all (AltUp, arXiv 2301.13310)."""
    with t.scope("altup"):
        coefficients = t.linear("prediction_coefs", modalities(t, active, streams), streams * streams)
        return t.add(t.product(x, coefficients, x.width, streams), x)


def correct(t: Trace, predictions: Tensor, activated: Tensor, streams: int) -> Tensor:
    """Every stream moved by what the active one has learnt."""
    with t.scope("altup"):
        coefficients = t.elementwise("add", t.linear("correction_coefs", modalities(t, activated, streams), streams))
        innovation = t.view(t.add(activated, predictions), predictions.width, kind="expand")
        return t.add(t.multiply(innovation, coefficients), predictions)


def laurel(t: Trace, x: Tensor, rank: int) -> Tensor:
    """A learned low-rank residual (LAuReL, arXiv 2411.07501)."""
    with t.scope("laurel"):
        out = t.linear("linear_right", t.linear("linear_left", x, rank), x.width)
        return t.add(x, t.norm("post_laurel_norm", out, style="rms_wide"))


def feed_forward(t: Trace, x: Tensor, layer: Layer, activation: str) -> Tensor:
    """The gated block; sparse layers cut all but the largest gates, by their mean and deviation."""
    split = column(layer.inner)
    with t.scope("mlp"):
        gate = t.linear("gate_proj", x, layer.inner, split=split)
        if layer.is_sparse:
            gate = t.elementwise("relu", t.elementwise("scale", gate))
        up = t.linear("up_proj", x, layer.inner, split=split)
        return t.linear("down_proj", t.multiply(t.elementwise(activation, gate), up), x.width, split=row(layer.inner))


def write_layer(t: Trace, x: Tensor, c: Config, layer: Layer) -> Tensor:
    """One layer on all streams side by side."""
    streams, width, style = c.size("altup_num_inputs"), c.hidden, "rms_wide"
    act, per_layer = c.text("hidden_activation"), c.size("hidden_size_per_layer_input", least=0)
    shape = Heads.of(c, window=layer.window, cached=not layer.reuses)
    predictions = predict(t, x, t.view(x, width, kind="slice"), streams)
    active = t.view(predictions, width, kind="slice")
    normed = t.norm("input_layernorm", active, style=style)
    residual = laurel(t, normed, c.size("laurel_rank"))
    mixed = attention(t, normed, shape, reuses=layer.reuses, bias=c.flag("attention_bias"))
    mixed = t.add(active, t.norm("post_attention_layernorm", mixed, style=style))
    mixed = t.elementwise("scale", t.add(mixed, residual))
    fed = feed_forward(t, t.norm("pre_feedforward_layernorm", mixed, style=style), layer, act)
    fed = t.add(mixed, t.norm("post_feedforward_layernorm", fed, style=style))
    corrected = correct(t, predictions, fed, streams)
    first = t.view(corrected, width, kind="slice")
    t.hold(t.parameter("altup.correct_output_scale", (width,)))
    first = t.elementwise("scale", first)
    gate = t.elementwise(act, t.linear("per_layer_input_gate", first, per_layer))
    first = t.linear("per_layer_projection", t.multiply(gate, t.input(per_layer)), width)
    return t.add(corrected, t.norm("post_per_layer_input_norm", first, style=style))


def layers_of(c: Config) -> list[Layer]:
    """Every layer's window, sharing, inner width and sparsity."""
    count = c.layers
    types = c.layer_types(every(5, count))
    first_shared = count - c.size("num_kv_shared_layers", 0, least=0)
    if first_shared < 0 or set(types[:first_shared]) != set(types):
        raise c.wrong("num_kv_shared_layers", "config_layer_types", value=first_shared, layers=count)
    given = c.get("intermediate_size")
    inner = inner_widths(c, given, count) if isinstance(given, list) else [c.inner] * count
    sparse = c.items("activation_sparsity_pattern") or [0.95 if i < 10 < count else 0.0 for i in range(count)]
    if len(sparse) < count:
        raise c.wrong("activation_sparsity_pattern", "config_layer_types", value=len(sparse), layers=count)
    window = c.size("sliding_window")
    return [
        Layer(window if types[i] == "sliding_attention" else None, i >= first_shared, inner[i], bool(sparse[i]))
        for i in range(count)
    ]


def inner_widths(c: Config, given: list[object], count: int) -> list[int]:
    """A width for every layer."""
    if len(given) < count:
        raise c.wrong("intermediate_size", "config_layer_types", value=len(given), layers=count)
    return [Config({"size": width}, "", f"{c.path}.intermediate_size").size("size") for width in given[:count]]


@decoder("gemma3n_text")
def gemma3n_text(c: Config, m: ModelBuilder) -> None:
    """Gemma 3n E2B and E4B."""
    streams, per_layer = c.size("altup_num_inputs"), c.size("hidden_size_per_layer_input", least=0)
    found, all_layers = layers_of(c), c.layers * per_layer

    def embed(t: Trace) -> Tensor:
        x = t.elementwise("scale", t.embedding("embed_tokens", c.vocab, c.hidden))
        rows = c.size("vocab_size_per_layer_input")
        own = t.elementwise("scale", t.embedding("embed_tokens_per_layer", rows, all_layers))
        projected = t.elementwise("scale", t.linear("per_layer_model_projection", x, all_layers))
        projected = t.norm("per_layer_projection_norm", projected, style="rms_wide", width=per_layer or None)
        t.elementwise("scale", t.add(projected, own))
        others = [t.linear(f"altup_projections.{i}", x, c.hidden) for i in range(streams - 1)]
        return t.concat(x, *(t.elementwise("scale", other) for other in others))

    def merge(t: Trace) -> Tensor:
        x = t.input(streams * c.hidden)
        parts = t.split(x, *[c.hidden] * streams)
        others = [t.linear(f"altup_unembed_projections.{i}", parts[i + 1], c.hidden) for i in range(streams - 1)]
        stacked = t.concat(parts[0], *(t.elementwise("scale", other) for other in others))
        return t.elementwise("mean", stacked, width=c.hidden)

    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    m.single("embedding", embed)
    m.stack(
        c.layers,
        lambda t, x, *kind: write_layer(t, x, c, Layer(*kind)),
        width=streams * c.hidden,
        kinds=lambda i: found[i],
    )
    m.single("projector", merge)
    m.final_norm("norm", c.hidden, style="rms_wide")
