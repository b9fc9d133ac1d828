"""Dense lineages whose modelling code stands beside their checkpoints; names as those have them.

Sources: the `modeling_*.py` files beside the checkpoints (`auto_map`), by the organisations named.
"""

from functools import partial
from typing import Any

from ..blocks.attention import Heads, attend, fused, grouped, turn
from ..blocks.feed_forward import fused_gated, gated
from ..blocks.residual import pre_norm
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Part, Tensor
from ..trace import Trace, column, columns, row
from .llama import activation, stack, swiglu
from .mixtures import layers
from .registry import decoder


@decoder("internlm")
def internlm(c: Config, m: ModelBuilder) -> None:
    """InternLM (Shanghai AI Laboratory): Llama with a bias on all four projections."""
    stack(c, m, partial(grouped, bias=c.flag("bias")), swiglu(c))


@decoder("internlm2", head="output")
def internlm2(c: Config, m: ModelBuilder) -> None:
    """InternLM 2 (arXiv 2403.17297): queries, keys and values of each group side by side in one matrix."""
    attention = partial(
        fused, shape=Heads.of(c), module="attention", names=("wqkv", "wo"), bias=c.flag("bias")
    )
    mlp = partial(
        gated, inner=c.inner, module="feed_forward", names=("w1", "w3", "w2"), activation=activation(c)
    )
    names = ("attention_norm", "ffn_norm")
    layers(c, m, lambda kind: attention, lambda kind: mlp, embed="tok_embeddings", names=names)


@decoder("baichuan")
def baichuan(c: Config, m: ModelBuilder) -> None:
    """Baichuan 1 and 2 (arXiv 2309.10305): one matrix for queries, keys and values; ALiBi in 13B."""
    alibi = not c.stated("max_position_embeddings")
    shape = Heads.of(c, score_bias=True, rotary_dim=0) if alibi else Heads.of(c)
    attention = partial(fused, shape=shape, names=("W_pack", "o_proj"))
    layers(c, m, lambda kind: attention, lambda kind: swiglu(c))


@decoder("qwen", prefix="transformer")
def qwen(c: Config, m: ModelBuilder) -> None:
    """Qwen 1 (arXiv 2309.16609): `intermediate_size` counts gate and up together."""
    heads = Heads(c.heads, c.heads, c.size("kv_channels", c.hidden // c.heads))
    attention = partial(fused, shape=heads, module="attn", names=("c_attn", "c_proj"), bias=True,
                        out_bias=not c.flag("no_bias", True))  # fmt: skip
    mlp = partial(gated, inner=c.inner // 2, names=("w2", "w1", "c_proj"), bias=not c.flag("no_bias", True))
    layers(
        c,
        m,
        lambda kind: attention,
        lambda kind: mlp,
        embed="wte",
        name="h.{}",
        final="ln_f",
        names=("ln_1", "ln_2"),
    )


@decoder("chatglm", prefix="transformer", head="transformer.output_layer")
def chatglm(c: Config, m: ModelBuilder) -> None:
    """ChatGLM 2, 3 and GLM-4-9B (arXiv 2406.12793): half of each head turned, a fused gated block."""
    for name in ("inner_hidden_size", "vision_config"):
        if c.stated(name):
            raise c.wrong(name, "config_unknown_value", value="present")
    kv_heads = c.size("multi_query_group_num") if c.flag("multi_query_attention") else c.heads
    width = c.size("kv_channels", c.hidden // c.heads)
    bias = c.flag("add_bias_linear")
    shape = Heads(c.heads, kv_heads, width, rotary_dim=width // 2)
    attention = partial(fused, shape=shape, module="self_attention", names=("query_key_value", "dense"),
                        bias=bias or c.flag("add_qkv_bias"), out_bias=bias)  # fmt: skip
    mlp = partial(fused_gated, inner=c.inner, names=("dense_h_to_4h", "dense_4h_to_h"), bias=bias)
    style = "rms" if c.flag("rmsnorm", True) else "layer"

    def layer(t: Trace, x: Tensor) -> Tensor:
        return pre_norm(t, x, attention, mlp, style=style)

    m.embed("embedding.word_embeddings", c.vocab, c.hidden)
    m.single("embedding", lambda t: t.hold(
        t.parameter("rotary_pos_emb.inv_freq", (width // 4,), buffer=True)))  # fmt: skip
    with m.prefix("encoder"):
        m.stack(c.layers, layer, width=c.hidden)
        if c.flag("post_layer_norm", True):
            m.final_norm("final_layernorm", c.hidden, style=style)


@decoder("minicpm")
def minicpm(c: Config, m: ModelBuilder) -> None:
    """MiniCPM (arXiv 2404.06395): Llama with constant factors on embedding, residuals and logits."""
    if c.size("num_experts", 0, least=0):
        raise c.wrong("num_experts", "config_unknown_value", value=c.get("num_experts"))
    stack(c, m, partial(grouped, bias=c.flag("attention_bias")), swiglu(c), scale=True, embed={"scale": True})


@decoder("orion")
def orion(c: Config, m: ModelBuilder) -> None:
    """Orion (arXiv 2401.12246): Llama with LayerNorm."""
    stack(c, m, partial(grouped, bias=c.flag("attention_bias")), swiglu(c), style="layer")


@decoder("exaone", prefix="transformer")
def exaone(c: Config, m: ModelBuilder) -> None:
    """EXAONE 3 and 3.5 (arXiv 2412.04862): Llama under other names."""
    names = ("q_proj", "k_proj", "v_proj", "out_proj")
    attention = partial(grouped, shape=Heads.of(c), module="attn.attention", names=names)
    inner = c.size("intermediate_size", 4 * c.hidden)
    mlp = partial(gated, inner=inner, names=("c_fc_0", "c_fc_1", "c_proj"), activation=activation(c))
    layers(
        c,
        m,
        lambda kind: attention,
        lambda kind: mlp,
        embed="wte",
        name="h.{}",
        final="ln_f",
        names=("ln_1", "ln_2"),
    )


@decoder("telechat", prefix="transformer")
def telechat(c: Config, m: ModelBuilder) -> None:
    """TeleChat 1 and 2 (arXiv 2401.03804): keys and values in one matrix, biases on both outputs."""
    shape = Heads.of(c)

    def attention(t: Trace, x: Tensor) -> Tensor:
        return shared_key_value(t, x, shape)

    def mlp(t: Trace, x: Tensor) -> Tensor:
        return biased_down(t, x, c.inner)

    layers(c, m, lambda kind: attention, lambda kind: mlp, embed="word_embeddings", name="h.{}", final="ln_f")


def shared_key_value(t: Trace, x: Tensor, shape: Heads) -> Tensor:
    """Queries by one matrix, keys and values by another."""
    parts = (Part(shape.key_width, shape.kv_heads, True), Part(shape.value_width, shape.kv_heads, True))
    with t.scope("self_attention"):
        q = t.linear("query", x, shape.query_width, split=column(shape.heads))
        both = t.linear("key_value", x, shape.key_width + shape.value_width, split=columns(*parts))
        k, v = t.split(both, shape.key_width, shape.value_width)
        q, k = turn(t, q, k, shape)
        return t.linear("dense", attend(t, q, k, v, shape), x.width, bias=True, split=row(shape.heads))


def biased_down(t: Trace, x: Tensor, inner: int) -> Tensor:
    """A gated block with a bias on its last projection only."""
    with t.scope("mlp"):
        gate = t.elementwise("silu", t.linear("gate_proj", x, inner, split=column(inner)))
        up = t.linear("up_proj", x, inner, split=column(inner))
        return t.linear("down_proj", t.multiply(gate, up), x.width, bias=True, split=row(inner))


@decoder("phi3small")
def phi3small(c: Config, m: ModelBuilder) -> None:
    """Phi-3-small (arXiv 2404.14219): a clamped gated GELU, biases, every other layer block-sparse.

    Block-sparse layers are read as dense ones: their parameters and cache are the same.
    """
    attention = partial(fused, shape=Heads.of(c), names=("query_key_value", "dense"), bias=True)
    inner = c.size("ff_intermediate_size")

    def block(t: Trace, x: Tensor) -> Tensor:
        t.hold(t.parameter("self_attn.rotary_emb.inv_freq", (c.head_dim // 2,), buffer=True))
        return attention(t, x)

    mlp = partial(fused_gated, inner=inner, names=("up_proj", "down_proj"), activation="gelu", bias=True)
    layers(c, m, lambda kind: block, lambda kind: mlp, style="layer", final="final_layernorm")


@decoder("mimo")
def mimo(c: Config, m: ModelBuilder) -> None:
    """MiMo (arXiv 2505.07608): Qwen 2; its multi-token-prediction layer is outside the decoder."""
    stack(c, m, partial(grouped, bias=c.flag("attention_bias"), out_bias=False), swiglu(c))


@decoder("nemotron-nas")
def nemotron_nas(c: Config, m: ModelBuilder) -> None:
    """Llama-Nemotron (arXiv 2505.00949): Llama whose blocks a search has thinned, each in its own way."""
    blocks = c.items("block_configs") or []
    if len(blocks) < c.layers:
        raise c.wrong("block_configs", "config_layer_types", value=len(blocks), layers=c.layers)
    places = [(_mixer(c, block), _width(c, block)) for block in blocks[: c.layers]]

    def layer(t: Trace, x: Tensor, group: int | str | None, inner: int | str | None) -> Tensor:
        if group is not None:
            x = t.add(x, _thinned_attention(t, t.norm("input_layernorm", x), c, group))
        if inner is not None:
            x = t.add(x, _thinned_mlp(t, t.norm("post_attention_layernorm", x), c, inner))
        return x

    m.embed("embed_tokens", c.vocab, c.hidden)
    m.stack(c.layers, layer, width=c.hidden, kinds=lambda i: places[i])
    m.final_norm("norm", c.hidden)


def _part(c: Config, block: Any, name: str) -> Config:
    data = block.get(name) if isinstance(block, dict) else None
    if not isinstance(data, dict):
        raise c.wrong("block_configs", "config_not_object", value=str(data)[:40])
    return Config(data, "", f"{c.path}.block_configs.{name}")


def _mixer(c: Config, block: Any) -> int | str | None:
    """Query heads to a key-value head, `linear`, or nothing at all."""
    own = _part(c, block, "attention")
    if own.flag("no_op"):
        return None
    return "linear" if own.flag("replace_with_linear") else own.size("n_heads_in_group")


def _width(c: Config, block: Any) -> int | str | None:
    """Inner width of the feed-forward block [two thirds of ffn_mult x hidden, up to a multiple of 256]."""
    own = _part(c, block, "ffn")
    if own.flag("no_op"):
        return None
    if own.flag("replace_with_linear"):
        return "linear"
    return -(-int(2 * own.number("ffn_mult") * c.hidden / 3) // 256) * 256


def _thinned_attention(t: Trace, x: Tensor, c: Config, group: int | str) -> Tensor:
    if isinstance(group, str):
        return t.linear("self_attn.linear_attn", x, c.hidden)
    if c.heads % group:
        raise c.wrong("block_configs", "config_not_divisible", value=group, of=c.heads)
    return grouped(t, x, Heads(c.heads, c.heads // group, c.head_dim), bias=c.flag("attention_bias"))


def _thinned_mlp(t: Trace, x: Tensor, c: Config, inner: int | str) -> Tensor:
    if isinstance(inner, str):
        return t.linear("mlp.linear_mlp", x, c.hidden)
    return gated(t, x, inner, activation=activation(c), bias=c.flag("mlp_bias"))
