"""JetMoE: experts make queries and outputs of attention, too."""

from ..blocks.attention import Heads, attend, turn
from ..blocks.feed_forward import router
from ..blocks.residual import pre_norm
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Part, Role, Split, Tensor
from ..trace import Trace, column
from .mixtures import chosen
from .registry import decoder


def expert_matrix(
    t: Trace, x: Tensor, weights: Tensor, name: str, count: int, used: int, width: int
) -> Tensor:
    """One matrix of each chosen expert, their outputs side by side."""
    split = Split(1, (Part(width, width),))
    weight = t.parameter(f"{name}.weight", (count, width, x.width), Role.EXPERT, split=split, experts=count)
    return t.experts(
        x,
        weights,
        [weight],
        count=count,
        top_k=used,
        width=width,
        gated=False,
        activation="",
        matrices=1,
        out=used * width,
    )


def reduced(t: Trace, x: Tensor, weights: Tensor, name: str, count: int, used: int, width: int) -> Tensor:
    """Each of `used` stretches of a row through its expert's matrix, weighed, summed, and a bias for all."""
    inner = x.width // used
    split = Split(2, (Part(inner, inner),))
    weight = t.parameter(f"{name}.weight", (count, width, inner), Role.EXPERT, split=split, experts=count)
    stretch = t.view(x, inner)
    out = t.experts(
        stretch,
        weights,
        [weight],
        count=count,
        top_k=used,
        width=width,
        gated=False,
        activation="",
        matrices=1,
        out=width,
    )
    t.hold(t.parameter("bias", (width,), Role.BIAS))
    return t.elementwise("add", out)


def mixed_attention(t: Trace, x: Tensor, heads: Heads, count: int, used: int) -> Tensor:
    """Every chosen expert has query heads of its own; they share the keys and values."""
    with t.scope("self_attention"):
        with t.scope("experts"):
            weights = router(t, x, count, used, name="router.layer", module=True)
            q = expert_matrix(t, x, weights, "input_linear", count, used, heads.key_width)
        kv = t.linear("kv_proj", x, 2 * heads.key_width, split=column(heads.kv_heads))
        k, v = t.split(kv, heads.key_width, heads.key_width, kind="chunk")
        q, k = turn(t, q, k, heads)
        out = attend(t, q, k, v, heads)
        with t.scope("experts"):
            return reduced(t, out, weights, "output_linear", count, used, x.width)


def mixed_feed_forward(t: Trace, x: Tensor, inner: int, activation: str, count: int, used: int) -> Tensor:
    """A mixture of gated experts in two stacked tensors."""
    with t.scope("mlp"):
        weights = router(t, x, count, used, name="router.layer", module=True)
        halves = Split(1, (Part(inner, inner), Part(inner, inner)))
        stacked = [
            t.parameter(
                "input_linear.weight", (count, 2 * inner, x.width), Role.EXPERT, split=halves, experts=count
            ),
            t.parameter(
                "output_linear.weight",
                (count, x.width, inner),
                Role.EXPERT,
                split=Split(2, (Part(0, inner),)),
                experts=count,
            ),
        ]
        out = t.experts(x, weights, stacked, count=count, top_k=used, width=inner, activation=activation)
        t.hold(t.parameter("bias", (x.width,), Role.BIAS))
        return t.elementwise("add", out)


@decoder("jetmoe")
def jetmoe(c: Config, m: ModelBuilder) -> None:
    """JetMoE (arXiv 2404.07413): as many query heads as experts times key-value heads."""
    count, used = chosen(c, "num_local_experts", "num_experts_per_tok")
    kv_heads = c.size("num_key_value_heads")
    heads = Heads(
        kv_heads * used, kv_heads, c.size("kv_channels"), dropout=c.number("attention_dropout", 0.0)
    )
    act = c.text("activation_function")

    def layer(t: Trace, x: Tensor) -> Tensor:
        return pre_norm(
            t,
            x,
            lambda t, x: mixed_attention(t, x, heads, count, used),
            lambda t, x: mixed_feed_forward(t, x, c.inner, act, count, used),
        )

    m.embed("embed_tokens", c.vocab, c.hidden)
    m.stack(c.layers, layer, width=c.hidden)
    m.final_norm("norm", c.hidden)
