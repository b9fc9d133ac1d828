"""Zaya: compressed convolutional attention, one expert chosen by a small network, scaled residuals."""

from msgspec.structs import replace

from ..blocks.attention import Heads
from ..blocks.compressed_convolution import Convolved, convolved_attention
from ..blocks.feed_forward import fused_experts
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Role, Tensor
from ..trace import Trace
from .llama import activation
from .mixtures import chosen, kinds
from .registry import decoder


def affine(t: Trace, x: Tensor, scale: str, bias: str) -> Tensor:
    """(x + bias) * scale, channel by channel."""
    t.hold(t.parameter(scale, (x.width,)), t.parameter(bias, (x.width,)))
    return t.elementwise("scale", t.elementwise("add", x))


def joined(t: Trace, x: Tensor, made: Tensor, name: str) -> Tensor:
    """Residual and branch, each scaled and shifted, in 32 bits."""
    with t.scope(name):
        made = affine(t, made, "hidden_states_scale", "hidden_states_bias")
        return t.add(made, affine(t, x, "residual_scale", "residual_bias"))


def choice(t: Trace, x: Tensor, count: int, used: int, width: int, first: bool) -> Tensor:
    """Scores out of a narrow network that also sees the layer before's; one class means no expert."""
    with t.scope("gate"):
        state = t.linear("down_proj", x, width, bias=True, role=Role.ROUTER)
        if not first:
            t.hold(t.parameter("router_states_scale", (width,), Role.ROUTER))
            state = t.add(state, t.elementwise("scale", t.input(width)))
        with t.scope("router_mlp"):
            y = t.norm("norm", state)
            for name in ("fc1", "fc2"):
                y = t.elementwise("gelu", t.linear(name, y, width, bias=True, role=Role.ROUTER))
            scores = t.linear("out_proj", y, count + 1, role=Role.ROUTER)
        biases = t.parameter("balancing_biases", (count + 1,), Role.ROUTER, buffer=True, dtype="float32")
        return t.route(scores, count, used, biases)


@decoder("zaya", bias=lambda c: c.flag("lm_head_bias"))
def zaya(c: Config, m: ModelBuilder) -> None:
    """Zaya 1 (arXiv 2511.17127)."""
    types = kinds(c, "layer_types", ["hybrid"] * c.layers, ("hybrid", "hybrid_sliding"))
    count, used = chosen(c, "num_experts", "num_experts_per_tok")
    heads = Heads.of(c)
    if heads.key_width % 2:
        raise c.wrong("head_dim", "config_not_divisible", value=2, of=heads.key_width)

    def layer(t: Trace, x: Tensor, kind: str, first: bool) -> Tensor:
        window = c.size("sliding_window") if kind == "hybrid_sliding" else None
        shape = Convolved(replace(heads, window=window), c.size("cca_time0"), c.size("cca_time1"))
        mixed = convolved_attention(t, t.norm("input_layernorm", x), shape, bias=c.flag("attention_bias"))
        x = joined(t, x, mixed, "post_attention_residual_scale")
        inside = t.norm("post_attention_layernorm", x)
        with t.scope("mlp"):
            weights = choice(t, inside, count, used, c.size("router_hidden_size"), first)
            fed = fused_experts(
                t,
                inside,
                weights,
                count=count,
                top_k=used,
                inner=c.size("moe_intermediate_size"),
                activation=activation(c),
            )
        return joined(t, x, fed, "post_mlp_residual_scale")

    m.embed("embed_tokens", c.vocab, c.hidden)
    m.single(
        "embedding",
        lambda t: affine(t, t.input(c.hidden), "input_hidden_states_scale", "input_hidden_states_bias"),
    )
    m.stack(c.layers, layer, width=c.hidden, kinds=lambda i: (types[i], i == 0))
    m.final_norm("norm", c.hidden)
