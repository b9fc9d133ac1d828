"""Inkling's attention: learned relative positions, short convolutions (kept in 32 bits)."""

from msgspec import Struct

from ..operations import Role, State, Tensor
from ..trace import Trace, column, row
from .attention import Heads, attend
from .recurrent import short_convolution


class Relative(Struct, frozen=True):
    """Heads, width of relative queries, how far they tell distances apart, reach of the convolutions."""

    heads: Heads
    width: int
    extent: int
    kernel: int


def convolved(t: Trace, x: Tensor, kernel: int, name: str, units: int) -> Tensor:
    """A short convolution with a residual, in 32 bits."""
    inside = short_convolution(t, x, kernel, name=f"{name}.conv1d", bias=False, units=units, dtype="float32")
    return t.add(inside, x)


def dynamic(t: Trace, x: Tensor, by: Tensor, r: Relative, name: str) -> Tensor:
    """The same with weights that are partly made for each token and head."""
    units = r.heads.kv_heads
    with t.scope(name):
        made = t.linear("weight_proj", by, units * r.kernel, split=column(units))
        static = t.parameter("static_weight", (r.kernel, x.width), Role.CONVOLUTION)
        state = State("conv", (x.width, r.kernel), "float32", units)
        inside = t.scan(
            "dynamic_convolution",
            (x, made),
            x.width,
            (static,),
            heads=units,
            key_dim=r.kernel,
            value_dim=1,
            states=(state,),
        )
        return t.add(inside, x)


def distances(t: Trace, relative: Tensor, r: Relative) -> Tensor:
    """A bias for every distance, out of each head's relative query."""
    return t.linear(
        "rel_logits_proj.proj",
        relative,
        r.extent,
        module=False,
        fan_in=r.width,
        stored=(r.width, r.extent),
        role=Role.OTHER,
    )


def relative(t: Trace, x: Tensor, r: Relative, *, scaled: bool = False, module: str = "self_attn") -> Tensor:
    """Inkling's attention; `scaled`: queries times a logarithm of their position."""
    h, queries, keys = r.heads, column(r.heads.heads), column(r.heads.kv_heads, replicate=True)
    with t.scope(module):
        q = t.linear("q_proj", x, h.query_width, split=queries)
        k = convolved(t, t.linear("k_proj", x, h.key_width, split=keys), r.kernel, "k_sconv", h.kv_heads)
        v = convolved(t, t.linear("v_proj", x, h.value_width, split=keys), r.kernel, "v_sconv", h.kv_heads)
        biases = distances(t, t.linear("r_proj", x, h.heads * r.width, split=queries), r)
        q, k = (t.norm(f"{name}_norm", y, width=h.head_dim) for name, y in (("q", q), ("k", k)))
        if scaled:
            q, biases = t.elementwise("scale", q), t.elementwise("scale", biases)
        return t.linear("o_proj", attend(t, q, k, v, h), x.width, split=row(h.heads))


def clipped(t: Trace, x: Tensor, r: Relative, name: str, width: int) -> Tensor:
    """Scaled vectors, shortened to a longest length."""
    t.hold(t.parameter(f"{name}.scale", (r.heads.heads, width)))
    return t.norm("", x, style="l2", weight=False, width=width)


def gated_relative(
    t: Trace, inputs: tuple[Tensor, Tensor, Tensor], r: Relative, *, local: bool, module: str = "self_attn"
) -> Tensor:
    """Inkling 2's: lengths bounded, sinks made for each token, gated output; global layers (not `local`) read
    keys and values from inputs of their own and convolve them dynamically."""
    h, queries, keys = r.heads, column(r.heads.heads), column(r.heads.kv_heads, replicate=True)
    x, key_input, value_input = inputs
    with t.scope(module):
        q = t.linear("q_proj", x, h.query_width, split=queries)
        k = t.linear("k_proj", key_input, h.key_width, split=keys)
        v = t.linear("v_proj", value_input, h.value_width, split=keys)
        if local:
            k, v = (
                convolved(t, y, r.kernel, f"{name}_sconv", h.kv_heads) for name, y in (("k", k), ("v", v))
            )
        else:
            k, v = dynamic(t, k, key_input, r, "k_sconv"), dynamic(t, v, value_input, r, "v_sconv")
        lookups = t.linear("r_proj", x, h.heads * r.width, split=queries)
        gate = t.linear("gate_proj", x, h.out_width, split=queries)
        t.linear("sink_proj", x, h.heads, split=queries)
        q = clipped(t, q, r, "q_l2_clip", h.head_dim)
        k = t.norm("", k, style="l2", weight=False, width=h.head_dim)
        v = t.norm("", v, style="rms_plain", weight=False, width=h.head_dim)
        lookups = clipped(t, lookups, r, "rel_l2_clip", r.width)
        if not local:
            q, lookups = t.elementwise("scale", q), t.elementwise("scale", lookups)
        distances(t, lookups, r)
        out = t.multiply(attend(t, q, k, v, h), t.elementwise("sigmoid", gate))
        return t.linear("o_proj", out, x.width, split=row(h.heads))
