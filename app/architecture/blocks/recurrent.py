"""Mixers with a state of fixed size: Mamba, Mamba-2 and the gated delta rule.

transformers keeps recurrent states in 32 bits whatever the model's data type, and as many positions of
a convolution's input as its kernel is long (`LinearAttentionLayer` in `cache_utils.py`).
"""

from msgspec import Struct

from ..operations import Part, Role, State, Tensor
from ..trace import Trace, column, columns, row


def short_convolution(
    t: Trace,
    x: Tensor,
    kernel: int,
    *,
    name: str = "conv1d",
    bias: bool = True,
    units: int = 1,
    dtype: str | None = None,
) -> Tensor:
    """A depthwise causal convolution, which remembers its last `kernel` inputs."""
    return t.convolution(
        name,
        x,
        x.width,
        kernel=(kernel,),
        groups=x.width,
        bias=bias,
        state=State("conv", (x.width, kernel), dtype, units),
        split=column(units),
    )


class Mamba(Struct, frozen=True):
    """Selective state spaces (arXiv 2312.00752): `inner` channels, each with a state of `state`."""

    inner: int
    state: int
    kernel: int
    rank: int  # of the time step
    bias: bool = False
    conv_bias: bool = True
    norms: str | None = None  # of time step, B and C: `rms`, or `rms_plain` without weights
    heads: int = 0  # Zamba: parameters head by head, in bare tensors


def mamba(t: Trace, x: Tensor, m: Mamba, *, module: str = "mixer") -> Tensor:
    """Gate and input in one matrix; time step, B and C out of the convolved input; scan; gate."""
    with t.scope(module):
        halves = columns(Part(m.inner, m.inner), Part(m.inner, m.inner))
        projected = t.linear("in_proj", x, 2 * m.inner, bias=m.bias, split=halves)
        inside, gate = t.split(projected, m.inner, m.inner, kind="chunk")
        inside = t.elementwise(
            "silu", short_convolution(t, inside, m.kernel, bias=m.conv_bias, units=m.inner)
        )
        scan = selective_scan_heads if m.heads else selective_scan
        y = t.multiply(scan(t, inside, m), t.elementwise("silu", gate))
        return t.linear("out_proj", y, x.width, bias=m.bias, split=row(m.inner))


def selective_scan(t: Trace, inside: Tensor, m: Mamba) -> Tensor:
    """The recurrence of every channel, its parameters made from the input."""
    parts = t.split(
        t.linear("x_proj", inside, m.rank + 2 * m.state, split=row(m.inner)), m.rank, m.state, m.state
    )
    if m.norms:
        names = ("dt_layernorm", "b_layernorm", "c_layernorm")
        parts = [
            t.norm(name, part, style=m.norms, weight=m.norms != "rms_plain")
            for name, part in zip(names, parts, strict=True)
        ]
    step, b, c = parts
    step = t.linear("dt_proj", step, m.inner, bias=True, split=column(m.inner))
    parameters = [
        t.parameter("A_log", (m.inner, m.state), Role.STATE, split=column(m.inner)),
        t.parameter("D", (m.inner,), Role.STATE, split=column(m.inner)),
    ]
    carried = State("ssm", (m.inner, m.state), "float32", m.inner)
    return t.scan(
        "mamba",
        (inside, step, b, c),
        m.inner,
        parameters,
        heads=m.inner,
        key_dim=m.state,
        value_dim=1,
        states=(carried,),
    )


def selective_scan_heads(t: Trace, inside: Tensor, m: Mamba) -> Tensor:
    """The same with every head's own projections, stacked in bare parameters (Zamba)."""
    n, width, heads = m.heads, m.inner // m.heads, column(m.heads)
    wide = m.rank + 2 * m.state
    parts = t.linear(
        "x_proj_weight", inside, n * wide, module=False, groups=n, stored=(n, wide, width), split=heads
    )
    step, b, c = t.split(parts, n * m.rank, n * m.state, n * m.state)
    step = t.linear(
        "dt_proj_weight", step, m.inner, module=False, groups=n, stored=(n, width, m.rank), split=heads
    )
    parameters = [
        t.parameter(name, shape, Role.STATE, split=heads)
        for name, shape in (("dt_proj_bias", (n, width)), ("A_log", (n, width, m.state)), ("D", (n, width)))
    ]
    carried = State("ssm", (n, width, m.state), "float32", n)
    return t.scan(
        "mamba",
        (inside, step, b, c),
        m.inner,
        parameters,
        heads=m.inner,
        key_dim=m.state,
        value_dim=1,
        states=(carried,),
    )


class Mamba2(Struct, frozen=True):
    """State-space duality (arXiv 2405.21060): `inner` = `heads` x `head_dim`, `groups` share B and C.

    `norm_groups`: stretches of a row that the gated norm works on. `out_bias` None: as `bias`.
    """

    inner: int
    heads: int
    head_dim: int
    state: int
    groups: int
    kernel: int
    chunk: int
    bias: bool = False
    conv_bias: bool = True
    state_dtype: str | None = "float32"
    norm_groups: int = 1
    out_bias: bool | None = None

    @property
    def shared(self) -> int:
        """Elements of B, and of C."""
        return self.groups * self.state

    @property
    def mixed(self) -> int:
        """Channels that the convolution mixes: input, B and C."""
        return self.inner + 2 * self.shared


def mamba2(
    t: Trace, x: Tensor, m: Mamba2, *, module: str = "mixer", gated_norm: bool = True, scaled: bool = False
) -> Tensor:
    """One projection for gate, input, B, C and time step; causal convolution; scan; gated norm.

    `scaled`: constant factors on the input and on what is projected (Falcon-H1).
    """
    shared = (Part(m.shared, m.groups, True), Part(m.shared, m.groups, True))
    inner = Part(m.inner, m.heads)
    with t.scope(module):
        x_in = t.elementwise("scale", x) if scaled else x
        projected = t.linear(
            "in_proj",
            x_in,
            m.inner + m.mixed + m.heads,
            bias=m.bias,
            split=columns(inner, inner, *shared, Part(m.heads, m.heads)),
        )
        projected = t.elementwise("scale", projected) if scaled else projected
        gate, inside, step = t.split(projected, m.inner, m.mixed, m.heads)
        inside = t.convolution(
            "conv1d",
            inside,
            m.mixed,
            kernel=(m.kernel,),
            groups=m.mixed,
            bias=m.conv_bias,
            state=State("conv", (m.mixed, m.kernel), None, m.heads),
            split=columns(inner, *shared),
        )
        inside = t.elementwise("silu", inside)
        parameters = [
            t.parameter(name, (m.heads,), Role.STATE, split=column(m.heads))
            for name in ("dt_bias", "A_log", "D")
        ]
        carried = State("ssm", (m.heads, m.head_dim, m.state), m.state_dtype, m.heads)
        y = t.scan(
            "mamba2",
            (inside, step),
            m.inner,
            parameters,
            heads=m.heads,
            key_dim=m.state,
            value_dim=m.head_dim,
            groups=m.groups,
            chunk=m.chunk,
            states=(carried,),
        )
        if gated_norm:
            y = t.norm(
                "norm",
                y,
                style="rms_gated",
                gate=gate,
                width=m.inner // m.norm_groups,
                shape=(m.inner,),
                split=column(m.heads),
            )
        else:
            y = t.multiply(y, t.elementwise("silu", gate))
        out_bias = m.bias if m.out_bias is None else m.out_bias
        return t.linear("out_proj", y, x.width, bias=out_bias, split=row(m.heads))


class GatedDelta(Struct, frozen=True):
    """Gated delta networks (arXiv 2412.06464): key and value heads of their own widths."""

    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    kernel: int
    chunk: int = 64

    @property
    def keys(self) -> int:
        """Elements of all keys (and of all queries) of a token."""
        return self.key_heads * self.key_dim

    @property
    def values(self) -> int:
        """Elements of all values of a token."""
        return self.value_heads * self.value_dim

    @property
    def mixed(self) -> int:
        """Channels that the convolution mixes: queries, keys and values."""
        return 2 * self.keys + self.values

    @property
    def parts(self) -> tuple[Part, Part, Part]:
        """Queries, keys and values as tensor parallelism cuts them."""
        key = Part(self.keys, self.key_heads)
        return key, key, Part(self.values, self.value_heads)


def gated_delta(
    t: Trace, x: Tensor, g: GatedDelta, *, module: str = "linear_attn", fused: bool = True
) -> Tensor:
    """`fused`: query, key, value and gate in one matrix, beta and alpha in another (Qwen3-Next);
    else four matrices (Qwen3.5)."""
    with t.scope(module):
        if fused:
            projected = t.linear("in_proj_qkvz", x, g.mixed + g.values, split=column(g.key_heads))
            scalars = t.linear("in_proj_ba", x, 2 * g.value_heads, split=column(g.key_heads))
            inside, gate = t.split(projected, g.mixed, g.values)
        else:
            inside = t.linear("in_proj_qkv", x, g.mixed, split=columns(*g.parts))
            gate = t.linear("in_proj_z", x, g.values, split=column(g.value_heads))
            scalars = t.concat(
                *(t.linear(f"in_proj_{n}", x, g.value_heads, split=column(g.value_heads)) for n in "ba")
            )
        y = delta_rule(t, inside, scalars, g)
        y = t.norm("norm", y, style="rms_gated", gate=gate, width=g.value_dim)
        return t.linear("out_proj", y, x.width, split=row(g.value_heads))


def delta_rule(t: Trace, inside: Tensor, scalars: Tensor, g: GatedDelta) -> Tensor:
    """Convolved queries, keys and values through the recurrence that `scalars` gate."""
    inside = t.convolution(
        "conv1d",
        inside,
        g.mixed,
        kernel=(g.kernel,),
        groups=g.mixed,
        bias=False,
        state=State("conv", (g.mixed, g.kernel), None, g.key_heads),
        split=columns(*g.parts),
    )
    inside = t.elementwise("silu", inside)
    parameters = [
        t.parameter(name, (g.value_heads,), Role.STATE, split=column(g.value_heads))
        for name in ("dt_bias", "A_log")
    ]
    carried = State("recurrent", (g.value_heads, g.key_dim, g.value_dim), "float32", g.value_heads)
    return t.scan(
        "gated_delta",
        (inside, scalars),
        g.values,
        parameters,
        heads=g.value_heads,
        key_dim=g.key_dim,
        value_dim=g.value_dim,
        groups=g.key_heads,
        chunk=g.chunk,
        states=(carried,),
    )
