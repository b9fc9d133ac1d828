"""The GPT line with learned positions: GPT, GPT-2, SantaCoder and StarCoder, GPT-Neo."""

from functools import partial

from ..blocks.attention import Heads, fused, grouped
from ..blocks.feed_forward import plain
from ..blocks.residual import outer_norm, pre_norm
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .registry import decoder


def all_heads(c: Config, kv_heads: int | None = None, **changes: object) -> Heads:
    """Heads that divide the width, as many of keys and values [all], without rotary positions."""
    if c.hidden % c.heads:
        raise c.wrong("num_attention_heads", "config_not_divisible", value=c.heads, of=c.hidden)
    options = {"rotary_dim": 0, "dropout": c.number("attn_pdrop", 0.0)} | changes
    return Heads(c.heads, kv_heads or c.heads, c.hidden // c.heads, **options)  # type: ignore[arg-type]


def inner_width(c: Config) -> int:
    """Inner width of the feed-forward block [4 x hidden]."""
    return c.maybe("n_inner") or 4 * c.hidden


def learned_positions(c: Config, m: ModelBuilder, dropout: str = "embd_pdrop") -> None:
    """`wte` + `wpe`, dropped out."""
    tables = (("wpe", c.size("max_position_embeddings"), Axis.SEQUENCE),)
    m.embed("wte", c.vocab, c.hidden, tables=tables, dropout=c.number(dropout, 0.0))


@decoder("gpt2", "gpt-sw3", prefix="transformer")
def gpt2(c: Config, m: ModelBuilder) -> None:
    """GPT-2: input-major projections with biases, LayerNorm."""
    heads, names = all_heads(c, float32_softmax=False), ("c_attn", "c_proj")
    attention = partial(fused, shape=heads, module="attn", names=names, bias=True, transposed=True)
    mlp = partial(
        plain,
        inner=inner_width(c),
        names=("c_fc", "c_proj"),
        activation=c.text("activation_function"),
        transposed=True,
    )
    drop = c.number("resid_pdrop", 0.0)

    def layer(t: Trace, x: Tensor) -> Tensor:
        return pre_norm(t, x, attention, mlp, names=("ln_1", "ln_2"), style="layer", dropout=drop)

    learned_positions(c, m)
    m.stack(c.layers, layer, width=c.hidden, name="h.{}")
    m.final_norm("ln_f", c.hidden, style="layer")


@decoder("gpt_bigcode", prefix="transformer")
def gpt_bigcode(c: Config, m: ModelBuilder) -> None:
    """SantaCoder and StarCoder (arXiv 2301.03988, 2305.06161): GPT-2 with one shared key-value head."""
    heads = all_heads(c, kv_heads=1 if c.flag("multi_query") else None)
    attention = partial(fused, shape=heads, module="attn", names=("c_attn", "c_proj"), bias=True)
    act, names = c.text("activation_function"), ("c_fc", "c_proj")
    mlp = partial(plain, inner=inner_width(c), names=names, activation=act)
    drop = c.number("resid_pdrop", 0.0)

    def layer(t: Trace, x: Tensor) -> Tensor:
        return pre_norm(t, x, attention, mlp, names=("ln_1", "ln_2"), style="layer", dropout=drop)

    learned_positions(c, m)
    m.stack(c.layers, layer, width=c.hidden, name="h.{}")
    m.final_norm("ln_f", c.hidden, style="layer")


@decoder("gpt_neo", prefix="transformer")
def gpt_neo(c: Config, m: ModelBuilder) -> None:
    """GPT-Neo: scores in fp32; local layers are masked in a full cache."""
    heads = all_heads(c, dropout=c.number("attention_dropout", 0.0), float32_scores=True)
    names = ("q_proj", "k_proj", "v_proj", "out_proj")
    attention = partial(grouped, shape=heads, module="attn.attention", names=names, out_bias=True)
    mlp = partial(
        plain,
        inner=c.maybe("intermediate_size") or 4 * c.hidden,
        names=("c_fc", "c_proj"),
        activation=c.text("activation_function"),
    )
    drop = c.number("resid_dropout", 0.0)

    def layer(t: Trace, x: Tensor) -> Tensor:
        return pre_norm(t, x, attention, mlp, names=("ln_1", "ln_2"), style="layer", dropout=drop)

    learned_positions(c, m, "embed_dropout")
    m.stack(c.layers, layer, width=c.hidden, name="h.{}")
    m.final_norm("ln_f", c.hidden, style="layer")


@decoder("openai-gpt", prefix="transformer")
def openai_gpt(c: Config, m: ModelBuilder) -> None:
    """GPT (2018): norms outside the residual, no final norm; its implementation keeps no cache."""
    heads, names = all_heads(c, cached=False, float32_softmax=False), ("c_attn", "c_proj")
    attention = partial(fused, shape=heads, module="attn", names=names, bias=True, transposed=True)
    mlp = partial(
        plain, inner=4 * c.hidden, names=("c_fc", "c_proj"), activation=c.text("afn"), transposed=True
    )
    drop = c.number("resid_pdrop", 0.0)
    tables = (("positions_embed", c.size("n_positions"), Axis.SEQUENCE),)
    m.embed("tokens_embed", c.vocab, c.hidden, tables=tables, dropout=c.number("embd_pdrop", 0.0))
    m.stack(
        c.layers, lambda t, x: outer_norm(t, x, attention, mlp, dropout=drop), width=c.hidden, name="h.{}"
    )
