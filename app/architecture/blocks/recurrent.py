"""Mixers with a state of fixed size: Mamba-2 and the gated delta rule."""

from dataclasses import dataclass

from ..operations import Role, State, Tensor
from ..trace import Trace, column, row


@dataclass(frozen=True, slots=True)
class Mamba2:
    """State-space duality (arXiv 2405.21060): `inner` = `heads` x `head_dim`, `groups` share B and C."""

    inner: int
    heads: int
    head_dim: int
    state: int
    groups: int
    kernel: int
    chunk: int
    bias: bool = False
    conv_bias: bool = True
    state_dtype: str | None = None


def mamba2(t: Trace, x: Tensor, m: Mamba2, *, module: str = "mixer", gated_norm: bool = True) -> Tensor:
    """One projection for gate, input, B, C and time step; causal convolution; scan; gated norm."""
    mixed = m.inner + 2 * m.groups * m.state
    with t.scope(module):
        projected = t.linear("in_proj", x, m.inner + mixed + m.heads, bias=m.bias)
        gate, inside, step = t.split(projected, m.inner, mixed, m.heads)
        conv_state = State("conv", (mixed, m.kernel), None, m.heads)
        inside = t.convolution("conv1d", inside, mixed, kernel=(m.kernel,), groups=mixed, bias=m.conv_bias,
                               state=conv_state)  # fmt: skip
        inside = t.elementwise("silu", inside)
        parameters = [
            t.parameter(name, (m.heads,), Role.STATE, split=column(m.heads)) for name in ("dt_bias", "A_log", "D")
        ]
        carried = State("ssm", (m.heads, m.head_dim, m.state), m.state_dtype, m.heads)
        y = t.scan("mamba2", (inside, step), m.inner, parameters, heads=m.heads, key_dim=m.state,
                   value_dim=m.head_dim, groups=m.groups, chunk=m.chunk, states=(carried,))  # fmt: skip
        if gated_norm:
            y = t.norm("norm", y, style="rms_gated", gate=gate)
        else:
            y = t.multiply(y, t.elementwise("silu", gate))
        return t.linear("out_proj", y, x.width, bias=m.bias, split=row(m.inner))


@dataclass(frozen=True, slots=True)
class GatedDelta:
    """Gated delta networks (arXiv 2412.06464): key and value heads of their own widths."""

    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    kernel: int
    chunk: int = 64


def gated_delta(t: Trace, x: Tensor, g: GatedDelta, *, module: str = "linear_attn", fused: bool = True) -> Tensor:
    """`fused`: query, key, value and gate in one matrix, beta and alpha in another (Qwen3-Next);
    else four matrices (Qwen3.5)."""
    keys, values = g.key_heads * g.key_dim, g.value_heads * g.value_dim
    mixed = 2 * keys + values
    with t.scope(module):
        if fused:
            projected = t.linear("in_proj_qkvz", x, mixed + values, split=column(g.key_heads))
            scalars = t.linear("in_proj_ba", x, 2 * g.value_heads, split=column(g.key_heads))
            inside, gate = t.split(projected, mixed, values)
        else:
            inside = t.linear("in_proj_qkv", x, mixed, split=column(g.key_heads))
            gate = t.linear("in_proj_z", x, values, split=column(g.value_heads))
            scalars = t.concat(*(t.linear(f"in_proj_{n}", x, g.value_heads, split=column(g.value_heads)) for n in "ba"))
        conv_state = State("conv", (mixed, g.kernel), None, g.key_heads)
        inside = t.convolution("conv1d", inside, mixed, kernel=(g.kernel,), groups=mixed, bias=False,
                               state=conv_state, split=column(g.key_heads))  # fmt: skip
        inside = t.elementwise("silu", inside)
        parameters = [
            t.parameter(name, (g.value_heads,), Role.STATE, split=column(g.value_heads))
            for name in ("dt_bias", "A_log")
        ]
        carried = State("recurrent", (g.value_heads, g.key_dim, g.value_dim), None, g.value_heads)
        y = t.scan("gated_delta", (inside, scalars), values, parameters, heads=g.value_heads, key_dim=g.key_dim,
                   value_dim=g.value_dim, groups=g.key_heads, chunk=g.chunk, states=(carried,))  # fmt: skip
        y = t.norm("norm", y, style="rms_gated", gate=gate, width=g.value_dim)
        return t.linear("out_proj", y, x.width, split=row(g.value_heads))
