"""OLMo Hybrid: gated delta layers with norms before, attention with norms behind."""

from functools import partial

from ..blocks.attention import Heads, grouped
from ..blocks.recurrent import GatedDelta, delta_rule
from ..blocks.residual import post_norm, pre_norm
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Tensor
from ..trace import Trace, column, row
from .llama import every, swiglu
from .mixtures import kinds
from .registry import decoder


def separate_delta(t: Trace, x: Tensor, g: GatedDelta, *, module: str = "linear_attn") -> Tensor:
    """The gated delta rule with a projection of its own for everything."""
    keys, values = column(g.key_heads), column(g.value_heads)
    with t.scope(module):
        q, k = (t.linear(f"{name}_proj", x, g.keys, split=keys) for name in "qk")
        inside = t.concat(q, k, t.linear("v_proj", x, g.values, split=values))
        scalars = t.concat(*(t.linear(f"{name}_proj", x, g.value_heads, split=values) for name in "ba"))
        y = delta_rule(t, inside, scalars, g)
        gate = t.linear("g_proj", x, g.values, split=values)
        y = t.norm("o_norm", y, style="rms_gated", gate=gate, width=g.value_dim)
        return t.linear("o_proj", y, x.width, split=row(g.value_heads))


@decoder("olmo_hybrid")
def olmo_hybrid(c: Config, m: ModelBuilder) -> None:
    """OLMo Hybrid: every fourth layer attends, with positions only where a rotary base is given."""
    key_heads = c.maybe("linear_num_key_heads") or c.heads
    key_dim = c.maybe("linear_key_head_dim") or int(0.75 * c.hidden / key_heads)
    delta = GatedDelta(
        key_heads,
        c.maybe("linear_num_value_heads") or c.heads,
        key_dim,
        c.maybe("linear_value_head_dim") or 2 * key_dim,
        c.size("linear_conv_kernel_dim"),
    )
    if delta.value_heads % delta.key_heads or not key_dim:
        raise c.wrong(
            "linear_num_key_heads", "config_not_divisible", value=delta.key_heads, of=delta.value_heads
        )
    turned = {} if c.mapping("rope_parameters").get("rope_theta") is not None else {"rotary_dim": 0}
    attention = partial(
        grouped,
        shape=Heads.of(c, **turned),
        bias=c.flag("attention_bias"),
        qk_norm="full",
        qk_style="rms_wide",
    )
    types = every(4, c.layers, first="linear_attention")
    if "full_attention" not in types:
        types[-1] = "full_attention"
    types = kinds(c, "layer_types", types, ("linear_attention", "full_attention"))

    def layer(t: Trace, x: Tensor, kind: str) -> Tensor:
        if kind == "linear_attention":
            return pre_norm(t, x, partial(separate_delta, g=delta), swiglu(c), style="rms_wide")
        return post_norm(t, x, attention, swiglu(c), style="rms_wide")

    m.embed("embed_tokens", c.vocab, c.hidden)
    m.stack(c.layers, layer, width=c.hidden, kinds=lambda i: types[i])
    m.final_norm("norm", c.hidden, style="rms_wide")
