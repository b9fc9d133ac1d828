"""Hunyuan 4: DeepSeek's sparse latent attention with gates and sinks, over hyper-connections."""

from functools import partial

from ..blocks.feed_forward import gated, sparse
from ..blocks.hyper import Streams, connected, head, spread
from ..blocks.latent import Indexer, Latent, latent
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Tensor
from ..trace import Trace
from .mixtures import Half, chosen, dense, kinds, sparse_after
from .registry import decoder


def mixture(c: Config) -> Half:
    """Routed experts with bounded activations, and shared ones without bounds."""
    count, used = chosen(c, "n_routed_experts", "num_experts_per_tok")
    inner = c.size("moe_intermediate_size")
    shared = dense_shared(c, inner * c.size("n_shared_experts"))
    return partial(
        sparse,
        count=count,
        top_k=used,
        inner=inner,
        activation="swiglu_clamped",
        shared=shared,
        correction="gate.e_score_correction_bias",
        scoring="sigmoid",
    )


def dense_shared(c: Config, inner: int) -> Half:
    """The shared experts as one gated block."""
    return partial(gated, inner=inner, module="shared_experts", activation=c.text("hidden_act", "silu"))


@decoder("hy_v4")
def hy_v4(c: Config, m: ModelBuilder) -> None:
    """Hunyuan 4."""
    shape, indexer = Latent.of(c), Indexer.of(c)
    if shape.query_rank is None:
        raise c.wrong("q_lora_rank", "config_missing", model_type=c.model_type)
    streams = Streams(c.count("hc_mult"), c.hidden, mixes=False)
    usual = ["full" if i == 0 or (i - 1) % 4 == 0 else "shared" for i in range(c.layers)]
    types = kinds(c, "indexer_types", usual, ("full", "shared"))
    experts = sparse_after(c, 1)

    def layer(t: Trace, x: Tensor, kind: str, has_experts: bool) -> Tensor:
        attention = partial(
            latent,
            shape=shape,
            bias=c.flag("attention_bias"),
            sinks=True,
            gate="gate_proj",
            gate_width=shape.out_width,
            indexer=indexer if kind == "full" else None,
        )
        feed_forward = mixture(c) if has_experts else dense(c)
        x = connected(t, x, streams, "attn_hc", lambda t, y: attention(t, t.norm("input_layernorm", y)))
        return connected(
            t, x, streams, "ffn_hc", lambda t, y: feed_forward(t, t.norm("post_attention_layernorm", y))
        )

    m.embed("embed_tokens", c.vocab, c.hidden)
    m.single("embedding", lambda t: spread(t, t.input(c.hidden), streams))
    m.stack(c.layers, layer, width=streams.width, kinds=lambda i: (types[i], experts[i]))
    m.single("norm", lambda t: head(t, t.input(streams.width), streams))
    m.final_norm("norm", c.hidden)
