"""ALiBi instead of positions: BLOOM and MPT."""

from functools import partial

from ..blocks.attention import fused
from ..blocks.feed_forward import plain
from ..blocks.residual import branch, pre_norm
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Tensor
from ..trace import Trace
from .gpt import all_heads
from .registry import decoder


@decoder("bloom", prefix="transformer")
def bloom(c: Config, m: ModelBuilder) -> None:
    """BLOOM (arXiv 2211.05100): a norm behind the embedding; residuals may start behind the norms."""
    heads = all_heads(c, score_bias=True, dropout=c.number("attention_dropout", 0.0))
    names, drop = ("dense_h_to_4h", "dense_4h_to_h"), c.number("hidden_dropout", 0.0)
    is_post = c.flag("apply_residual_connection_post_layernorm")

    def layer(t: Trace, x: Tensor) -> Tensor:
        normed = t.norm("input_layernorm", x, style="layer")
        mixed = fused(
            t, normed, heads, module="self_attention", names=("query_key_value", "dense"), bias=True
        )
        x = t.add(normed if is_post else x, branch(t, mixed, drop))
        normed = t.norm("post_attention_layernorm", x, style="layer")
        fed = plain(t, normed, 4 * c.hidden, names=names, activation="gelu_bloom")
        return t.add(normed if is_post else x, branch(t, fed, drop))

    m.embed("word_embeddings", c.vocab, c.hidden, norm="word_embeddings_layernorm")
    m.stack(c.layers, layer, width=c.hidden, name="h.{}")
    m.final_norm("ln_f", c.hidden, style="layer")


@decoder("mpt", prefix="transformer")
def mpt(c: Config, m: ModelBuilder) -> None:
    """MPT: no biases anywhere, `clip_qkv` bounds the projections."""
    inside = c.sub("attn_config")
    drop = inside.number("attn_pdrop", 0.0)
    heads = all_heads(c, score_bias=True, dropout=drop)
    clip = bool(inside.get("clip_qkv"))
    attention = partial(fused, shape=heads, module="attn", names=("Wqkv", "out_proj"), clip=clip)
    mlp = partial(plain, inner=4 * c.hidden, module="ffn", activation="gelu", bias=False)

    def layer(t: Trace, x: Tensor) -> Tensor:
        names = ("norm_1", "norm_2")
        return pre_norm(t, x, attention, mlp, names=names, style="layer", bias=False, dropout=drop)

    m.embed("wte", c.vocab, c.hidden)
    m.stack(c.layers, layer, width=c.hidden, name="blocks.{}")
    m.final_norm("norm_f", c.hidden, style="layer", bias=False)
