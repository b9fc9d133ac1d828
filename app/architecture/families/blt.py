"""The byte latent transformer (arXiv 2412.09871): bytes, patches of them, and a model that finds the patches.

Patches are as many as bytes at most, and counted so: how many fewer there are, the text decides.
"""

from functools import partial

from ..blocks.attention import Heads, grouped
from ..blocks.feed_forward import gated
from ..blocks.residual import pre_norm
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Role, Tensor
from ..trace import Trace, column, row
from .registry import family


def heads_of(part: Config, *, cached: bool) -> Heads:
    """The heads of one of the transformers; key-value heads left out are as many as the queries'."""
    heads, kv_heads = part.heads, part.maybe("num_key_value_heads") or part.heads
    if heads % kv_heads or part.hidden < heads:  # uneven widths are rounded down
        raise part.wrong("num_attention_heads", "config_not_divisible", value=heads, of=part.hidden)
    window = part.maybe("sliding_window")
    dropout = part.number("dropout", 0.0)
    return Heads(heads, kv_heads, part.hidden // heads, window=window, cached=cached, dropout=dropout)


def write_layers(part: Config, m: ModelBuilder, *, cached: bool) -> None:
    """Llama's layers."""
    attention = partial(grouped, shape=heads_of(part, cached=cached))
    inner = part.maybe("intermediate_size") or int(8 * part.hidden / 3)
    mlp = partial(gated, inner=inner, activation=part.text("hidden_act", "silu"))
    m.stack(part.layers, lambda t, x: pre_norm(t, x, attention, mlp), width=part.hidden)


def cross(t: Trace, x: Tensor, shape: Heads) -> Tensor:
    """Queries of one stream over keys and values of the other, each normalised first, with a residual."""
    source, split = t.norm("k_norm", t.input(x.width)), column(shape.kv_heads, replicate=True)
    q = t.linear("q_proj", t.norm("q_norm", x), shape.query_width, split=column(shape.heads))
    k = t.linear("k_proj", source, shape.key_width, split=split)
    v = t.linear("v_proj", source, shape.value_width, split=split)
    out = t.attention(
        q,
        k,
        v,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        key_dim=shape.head_dim,
        causal=False,
        cached=False,
        dropout=shape.dropout,
    )
    return t.add(t.linear("o_proj", out, x.width, split=row(shape.heads)), x)


def write_local(part: Config, m: ModelBuilder, fan_in: int, *, all_layers: bool) -> None:
    """A byte-level transformer with its view of the patches."""
    wide = part.hidden * part.size("cross_attn_k", 2)
    write_layers(part, m, cached=True)
    m.single("projector", lambda t: t.linear("patch_embedding_projection", t.input(fan_in), wide))
    count = part.layers if part.flag("cross_attn_all_layers", all_layers) else 1
    shape = heads_of(part, cached=False)
    write = partial(cross, shape=shape)
    m.stack(count, write, width=part.hidden, name="cross_attn_layers.{}", component="projector")


def hash_rows(c: Config) -> int:
    """Rows of the embedding of hashed groups of bytes."""
    sizes = c.items("encoder_hash_byte_group_size") or [3, 4, 5, 6, 7, 8]
    functions = c.size("encoder_hash_byte_group_nb_functions")
    return c.size("encoder_hash_byte_group_vocab") * functions * len(sizes)


def write_patcher(part: Config, m: ModelBuilder) -> None:
    """A small language model whose entropy tells where patches end."""
    with m.component("patcher"), m.prefix("patcher"):
        m.embed("embed_tokens", part.vocab, part.hidden)
        write_layers(part, m, cached=False)
        m.final_norm("norm", part.hidden)
        m.single("head", lambda t: t.linear("lm_head", t.input(part.hidden), part.vocab, role=Role.OTHER))


@family("blt")
def blt(c: Config, m: ModelBuilder) -> None:
    """BLT-1B and 7B."""
    encoder, decoder, middle = (c.sub(f"{name}_config") for name in ("encoder", "decoder", "global"))
    patches = encoder.hidden * c.size("cross_attn_k")
    rows, width = (c.vocab, decoder.hidden) if c.tied else (encoder.vocab, encoder.hidden)
    m.hidden_size, m.vocab_size = decoder.hidden, c.vocab
    with m.prefix("model"):
        with m.prefix("local_encoder"):
            m.single("embedding", lambda t: t.embedding("embed_tokens", rows, width))
            write_local(encoder, m, encoder.hidden, all_layers=False)
        table = hash_rows(c)
        m.single("embedding", lambda t: t.embedding("encoder_hash_tok_embedding", table, encoder.hidden))
        with m.prefix("global_transformer"):
            if patches != middle.hidden:
                name = "token_embedding_projection"
                m.single("projector", lambda t: t.linear(name, t.input(patches), middle.hidden))
            write_layers(middle, m, cached=False)
        with m.prefix("local_decoder"):
            write_local(decoder, m, decoder.size("hidden_size_global"), all_layers=True)
            m.final_norm("norm", decoder.hidden)
        if c.flag("patch_in_forward", True):
            write_patcher(c.sub("patcher_config"), m)
    m.head("lm_head", decoder.hidden, c.vocab, tied=c.tied)
