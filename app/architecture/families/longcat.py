"""LongCat-Flash: two attentions and two dense blocks a layer, experts beside the second half."""

from functools import partial

from ..blocks.feed_forward import gated, router
from ..blocks.latent import Latent, latent
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Part, Role, Split, Tensor
from ..trace import Trace
from .llama import activation
from .mixtures import chosen
from .registry import decoder


def shortcut_experts(t: Trace, x: Tensor, c: Config) -> Tensor:
    """Experts of which some do nothing; their first matrices are stored for those, too.

    A token's choices count as real experts throughout: how many of them fall on the idle ones depends on
    the input.
    """
    count, used = chosen(c, "n_routed_experts", "moe_topk")
    every = count + c.size("zero_expert_num", 0, least=0)
    inner = c.size("expert_ffn_hidden_size")
    with t.scope("mlp"):
        weights = router(
            t,
            x,
            every,
            used,
            name="router.classifier",
            module=True,
            bias=c.flag("router_bias"),
            correction="router.e_score_correction_bias",
        )
        with t.scope("experts"):
            halves = Split(1, (Part(inner, inner), Part(inner, inner)))
            stacked = [
                t.parameter(
                    "gate_up_proj", (every, 2 * inner, x.width), Role.EXPERT, split=halves, experts=count
                ),
                t.parameter(
                    "down_proj",
                    (count, x.width, inner),
                    Role.EXPERT,
                    split=Split(2, (Part(0, inner),)),
                    experts=count,
                ),
            ]
            return t.experts(
                x, weights, stacked, count=count, top_k=used, width=inner, activation=activation(c)
            )


@decoder("longcat_flash")
def longcat_flash(c: Config, m: ModelBuilder) -> None:
    """LongCat-Flash (arXiv 2509.01322)."""
    shape = Latent.of(c)
    depth = c.count("num_layers") if c.given("num_hidden_layers") is None else max(1, c.layers // 2)
    attention = partial(latent, shape=shape, bias=c.flag("attention_bias"), scaled=True)
    dense = partial(gated, inner=c.size("ffn_hidden_size"), activation=activation(c))

    def layer(t: Trace, x: Tensor) -> Tensor:
        shortcut = x
        for half in (0, 1):
            mixed = attention(t, t.norm(f"input_layernorm.{half}", x), module=f"self_attn.{half}")
            x = t.add(x, mixed)
            normed = t.norm(f"post_attention_layernorm.{half}", x)
            if half == 0:
                shortcut = shortcut_experts(t, normed, c)
            x = t.add(x, dense(t, normed, module=f"mlps.{half}"))
        return t.add(x, shortcut)

    m.embed("embed_tokens", c.vocab, c.hidden)
    m.stack(depth, layer, width=c.hidden)
    m.final_norm("norm", c.hidden)
