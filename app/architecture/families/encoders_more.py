"""More encoders: TAPAS over tables, ESM over proteins, FNet without attention, UltraBERT."""

from functools import partial

from ..blocks.attention import grouped
from ..blocks.feed_forward import gated, plain
from ..blocks.residual import outer_norm, pre_norm
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Role, Tensor
from ..trace import Trace
from .bert import NAMES, pool
from .encoders import bert_like, embeddings, encoder_heads, named, predictions, sign_up
from .encoders_modern import both, llama_body
from .florence import stages
from .llama import activation


def tables(c: Config) -> tuple[tuple[str, int], ...]:
    """A table for each kind of token type: segment, column, row, rank, ..."""
    return tuple((f"token_type_embeddings_{i}", rows) for i, rows in enumerate(stages(c, "type_vocab_sizes")))


sign_up("tapas", "tapas", bert_like(named(*NAMES), types=False, extra=tables), predictions)


def esm_body(c: Config, m: ModelBuilder) -> None:
    """ESM-2 (doi 10.1126/science.ade2574): norms before each half, a head that reads contacts."""
    if c.text("position_embedding_type", "absolute") != "absolute":
        raise c.uncovered("position_embedding_type", "only learned positions are described here")
    shape, names = encoder_heads(c), ("attention.LayerNorm", "LayerNorm")
    attention = partial(grouped, shape=shape, module="attention", names=NAMES, bias=True)
    mlp = partial(
        plain, inner=c.inner, module="", names=("intermediate.dense", "output.dense"), activation="gelu"
    )
    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    m.single("embedding", lambda t: embeddings(c, t, types=False, normed=c.flag("emb_layer_norm_before")))
    m.stack(
        c.layers,
        lambda t, x: pre_norm(t, x, attention, mlp, names=names, style="layer"),
        width=c.hidden,
        name="encoder.layer.{}",
    )
    m.final_norm("encoder.emb_layer_norm_after", c.hidden, style="layer")
    maps = c.layers * c.heads
    m.single("head", lambda t: t.unused_linear("contact_head.regression", maps, 1, bias=True))


def esm_head(c: Config, m: ModelBuilder) -> None:
    """A dense layer, its norm, the matrix without a bias, a bias beside it."""

    def transform(t: Trace) -> Tensor:
        t.hold(t.parameter("bias", (c.vocab,), Role.BIAS))
        x = t.elementwise("gelu", t.linear("dense", t.input(c.hidden), c.hidden, bias=True, role=Role.OTHER))
        return t.norm("layer_norm", x, style="layer")

    m.single("head", transform, name="lm_head")
    m.head("lm_head.decoder", c.hidden, c.vocab, tied=c.tied)


def fnet_body(c: Config, m: ModelBuilder) -> None:
    """FNet (arXiv 2105.03824): a Fourier transform instead of attention."""
    mlp = partial(
        plain,
        inner=c.inner,
        module="",
        names=("intermediate.dense", "output.dense"),
        activation=activation(c),
    )
    names = ("fourier.output.LayerNorm", "output.LayerNorm")

    def mix(t: Trace, x: Tensor) -> Tensor:
        return t.elementwise("fourier", x)

    def words(t: Trace) -> Tensor:
        return t.linear("embeddings.projection", embeddings(c, t), c.hidden, bias=True)

    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    m.single("embedding", words)
    m.stack(
        c.layers,
        lambda t, x: outer_norm(t, x, mix, mlp, names=names),
        width=c.hidden,
        name="encoder.layer.{}",
    )
    m.single("pooler", lambda t: pool(t, "pooler.dense", c.hidden))


sign_up("fnet", "fnet", fnet_body, predictions)


def esmc_body(c: Config, m: ModelBuilder) -> None:
    """ESM C: rotary positions, whole rows of queries and keys normalised."""
    attention = partial(
        grouped, shape=both(c), bias=c.flag("attention_bias"), qk_norm="full", qk_style="layer", qk_bias=False
    )
    mlp = partial(gated, inner=c.inner, activation=activation(c), bias=c.flag("mlp_bias"))
    m.embed("embed_tokens", c.vocab, c.hidden)
    m.stack(c.layers, lambda t, x: pre_norm(t, x, attention, mlp, style="layer"), width=c.hidden)
    m.final_norm("norm", c.hidden, style="layer", bias=False)


def esmc_head(c: Config, m: ModelBuilder) -> None:
    """A dense layer, its norm, the vocabulary with a bias, never tied."""

    def transform(t: Trace) -> Tensor:
        x = t.elementwise("gelu", t.linear("dense", t.input(c.hidden), c.hidden, bias=True, role=Role.OTHER))
        return t.norm("layer_norm", x, style="layer")

    m.single("head", transform, name="lm_head")
    m.head("lm_head.decoder", c.hidden, c.vocab, tied=False, bias=True)


sign_up("esmc", "esmc", esmc_body, esmc_head)


def ultrabert_head(c: Config, m: ModelBuilder) -> None:
    """A narrow layer between two matrices."""
    narrow = c.size("prediction_head_size")

    def write(t: Trace) -> Tensor:
        x = t.elementwise("gelu", t.linear("linear1", t.input(c.hidden, Axis.TOKENS), narrow))
        return t.linear("linear2", x, c.hidden)

    m.single("head", write, name="head")
    m.head("head.decoder", c.hidden, c.vocab, tied=c.tied)


sign_up("ultrabert", "model", llama_body, ultrabert_head)
sign_up("esm", "esm", esm_body, esm_head)
