"""Encoders of another shape: Perceiver reads tokens into latents, LUKE knows entities."""

from functools import partial

from ..blocks.attention import Heads, attend
from ..blocks.feed_forward import plain
from ..blocks.vision import held
from ..builder import ModelBuilder
from ..config import Config, fail
from ..operations import Axis, Role, Tensor
from ..trace import Trace
from .encoders import bert_like, named, sign_up
from .registry import family
from .xlm import xlm

family("flaubert")(xlm)


def entity_queries(c: Config, t: Trace, x: Tensor) -> None:
    """Queries from words to entities and the other way round, which words alone do without."""
    if c.flag("use_entity_aware_attention"):
        for name in ("w2e_query", "e2w_query", "e2e_query"):
            t.unused_linear(name, x.width, x.width, bias=True)


def entity_tables(c: Config, m: ModelBuilder) -> None:
    """Entities, embedded narrowly and widened, with positions and types of their own."""
    rows, width = c.size("entity_vocab_size"), c.size("entity_emb_size")

    def write(t: Trace) -> None:
        t.hold(
            t.parameter("entity_embeddings.weight", (rows, width), Role.EMBEDDING),
            t.parameter("position_embeddings.weight", (c.size("max_position_embeddings"), c.hidden)),
            t.parameter("token_type_embeddings.weight", (c.size("type_vocab_size"), c.hidden)),
            *(t.parameter(f"LayerNorm.{part}", (c.hidden,), Role.NORM) for part in ("weight", "bias")),
        )
        if width != c.hidden:
            t.unused_linear("entity_embedding_dense", width, c.hidden)

    m.single("embedding", write, name="entity_embeddings")


def luke_head(c: Config, m: ModelBuilder) -> None:
    """RoBERTa's head, its matrix never tied, and one over entities."""
    rows, width = c.size("entity_vocab_size"), c.size("entity_emb_size")

    def transform(t: Trace) -> Tensor:
        x = t.linear("dense", t.input(c.hidden), c.hidden, bias=True, role=Role.OTHER)
        return t.norm("layer_norm", t.elementwise("gelu", x), style="layer")

    def entities(t: Trace) -> None:
        t.hold(t.parameter("bias", (rows,), Role.BIAS))
        t.unused_linear("transform.dense", c.hidden, width, bias=True)
        kept = ("weight", "bias")
        t.hold(*(t.parameter(f"transform.LayerNorm.{part}", (width,), Role.NORM) for part in kept))
        t.unused_linear("decoder", width, rows, tied=c.tied)

    with m.prefix("lm_head"):
        m.head("decoder", c.hidden, c.vocab, tied=False, bias=not c.tied, before=transform, beside="bias")
    m.single("head", entities, name="entity_predictions")


sign_up(
    "luke",
    "luke",
    bert_like(named("self.query", "self.key", "self.value", "output.dense", extra=entity_queries),
              after=entity_tables, pooled=True),
    luke_head,
)  # fmt: skip


def perceiver_attention(
    t: Trace, x: Tensor, seen: Tensor | None, heads: int, keys: int, values: int, *, residual: bool
) -> Tensor:
    """Attention of `x` to itself or to what is `seen`, and a block behind it; each has its norm."""
    if keys % heads or values % heads:
        field = "config.num_cross_attention_heads" if seen else "config.num_self_attention_heads"
        raise fail(field, "config_not_divisible", value=heads, of=keys)
    shape = Heads(heads, heads, keys // heads, values // heads, rotary_dim=0, causal=False, cached=False)
    with t.scope("attention"):
        with t.scope("self"):
            query = t.norm("layernorm1", x, style="layer")
            source = t.norm("layernorm2", seen, style="layer") if seen else query
            q = t.linear("query", query, keys, bias=True)
            k, v = t.linear("key", source, keys, bias=True), t.linear("value", source, values, bias=True)
            out = attend(t, q, k, v, shape)
        out = t.linear("output.dense", out, x.width, bias=True)
    return t.add(out, x) if residual else out


def perceiver_layer(
    t: Trace, x: Tensor, c: Config, *, name: str, seen: Tensor | None = None, keys: int, values: int,
    widening: int = 1, residual: bool = True, heads: int,
) -> Tensor:  # fmt: skip
    """Attention and a feed-forward block."""
    with t.scope(name):
        x = perceiver_attention(t, x, seen, heads, keys, values, residual=residual)
        normed = t.norm("layernorm", x, style="layer")
        names, act = ("dense1", "dense2"), c.text("hidden_act", "gelu")
        return t.add(x, plain(t, normed, widening * x.width, names=names, activation=act))


def perceiver_encoder(c: Config, m: ModelBuilder) -> None:
    """Latents read the tokens once, then pass the same layers block after block."""
    width, latents = c.size("d_model"), c.size("d_latents")
    like_input = c.text("cross_attention_shape_for_attention") == "kv"
    cross = c.maybe("qk_channels") or (width if like_input else latents)
    own = c.maybe("qk_channels") or latents
    read = partial(
        perceiver_layer, c=c, name="cross_attention", keys=cross, values=c.maybe("v_channels") or cross,
        widening=c.size("cross_attention_widening_factor"), heads=c.size("num_cross_attention_heads"),
        residual=c.flag("use_query_residual", True),
    )  # fmt: skip
    think = partial(
        perceiver_layer, c=c, name="", keys=own, values=c.maybe("v_channels") or own,
        widening=c.size("self_attention_widening_factor"), heads=c.size("num_self_attention_heads"),
    )  # fmt: skip
    m.single("encoder", lambda t: held(t, "embeddings.latents", c.size("num_latents"), latents))
    m.single("encoder", lambda t: read(t, t.input(latents, Axis.SOURCE), seen=t.input(width)), name="encoder")
    m.stack(
        c.count("num_self_attends_per_block"), think, width=latents, name="encoder.self_attends.{}",
        axis=Axis.SOURCE, runs=c.count("num_blocks"),
    )  # fmt: skip


@family("perceiver")
def perceiver(c: Config, m: ModelBuilder) -> None:
    """Perceiver IO over bytes (arXiv 2107.14795): learned positions ask the latents for each token."""
    width, latents, rows = c.size("d_model"), c.size("d_latents"), c.size("max_position_embeddings")

    def embed(t: Trace) -> Tensor:
        x = t.embedding("embeddings", c.vocab, width)
        return t.add(x, t.embedding("position_embeddings", rows, width, axis=Axis.SEQUENCE))

    def decode(t: Trace) -> Tensor:
        held(t, "output_position_encodings.position_embeddings", rows, width)
        return perceiver_layer(
            t, t.input(width), c, name="decoding_cross_attention", seen=t.input(latents, Axis.SOURCE),
            keys=8 * 32, values=width, heads=8, residual=False,
        )  # fmt: skip

    m.hidden_size, m.vocab_size = width, c.vocab
    m.notes |= {"kind": "encoder", "source": c.size("num_latents")}
    with m.prefix("perceiver"):
        m.single("embedding", embed, name="input_preprocessor")
        perceiver_encoder(c, m)
        m.single("decoder", decode, name="decoder")
    with m.prefix("embedding_decoder"):
        m.head("decoder", width, c.vocab, tied=True, beside="bias")
