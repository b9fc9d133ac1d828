"""Evolla: a protein encoder, compressed to few tokens, that some of Llama's layers attend to."""

from functools import partial

from ..blocks.attention import Heads, attend, grouped
from ..blocks.feed_forward import plain
from ..blocks.vision import held
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace, column, row
from .bert import NAMES
from .encoders import encoder_heads
from .llama import llama
from .registry import decoder

# SaProt's fields (`SaProtConfig`), which carries no model type of its own.
PROTEIN = {
    "vocab_size": 446,
    "hidden_size": 1280,
    "num_hidden_layers": 33,
    "num_attention_heads": 20,
    "intermediate_size": 5120,
    "max_position_embeddings": 1026,
    "position_embedding_type": "rotary",
}


def protein_encoder(c: Config, m: ModelBuilder) -> None:
    """SaProt (doi 10.1101/2023.10.01.560349): ESM-2's layers with rotary positions."""
    heads = encoder_heads(c)
    turned = c.text("position_embedding_type") == "rotary"
    shape = Heads(heads.heads, heads.heads, heads.head_dim, rotary_dim=None if turned else 0,
                  causal=False, cached=False, float32_softmax=False)  # fmt: skip
    attention = partial(grouped, shape=shape, module="attention", names=NAMES, bias=True)
    mlp = partial(plain, inner=c.inner, module="", names=("intermediate.dense", "output.dense"))

    def embed(t: Trace) -> Tensor:
        x = t.embedding("word_embeddings", c.vocab, c.hidden, axis=Axis.SOURCE)
        if c.flag("emb_layer_norm_before"):
            x = t.norm("layer_norm", x, style="layer")
        if c.text("position_embedding_type") != "absolute":
            return x
        rows = c.size("max_position_embeddings")
        return t.add(x, t.embedding("position_embeddings", rows, c.hidden, axis=Axis.SOURCE))

    def layer(t: Trace, x: Tensor) -> Tensor:
        x = t.add(x, attention(t, t.norm("attention.LayerNorm", x, style="layer")))
        return t.add(x, mlp(t, t.norm("LayerNorm", x, style="layer")))

    m.single("encoder", embed, name="embeddings")
    m.single(
        "encoder",
        lambda t: t.hold(t.parameter("rotary_embeddings.inv_freq", (shape.head_dim // 2,), buffer=True)),
    )
    m.stack(c.layers, layer, width=c.hidden, name="encoder.layer.{}", axis=Axis.SOURCE)
    m.single(
        "encoder",
        lambda t: t.norm("encoder.emb_layer_norm_after", t.input(c.hidden, Axis.SOURCE), style="layer"),
    )


def resampler(c: Config, m: ModelBuilder, width: int) -> None:
    """Learned latents attend to the protein and themselves, then widen to the text."""
    heads, head_dim = c.size("resampler_heads"), c.size("resampler_dim_head")
    shape = Heads(heads, heads, head_dim, rotary_dim=0, causal=False, cached=False)
    inner = width * c.size("resampler_ff_mult")

    def attention(t: Trace, x: Tensor) -> Tensor:
        seen = t.norm("norm_media", t.input(width, Axis.SOURCE), style="layer")
        x = t.norm("norm_latents", x, style="layer")
        q = t.linear("to_q", x, shape.query_width)
        k, v = t.split(
            t.linear("to_kv", t.add(x, seen), 2 * shape.key_width), shape.key_width, shape.key_width
        )
        return t.linear("to_out", attend(t, q, k, v, shape), width)

    def layer(t: Trace, x: Tensor) -> Tensor:
        with t.scope("0"):
            x = t.add(x, attention(t, x))
        with t.scope("1"):
            normed = t.norm("norm", x, style="layer")
            return t.add(x, plain(t, normed, inner, module="", names=("fc1", "fc2"), bias=False))

    def end(t: Trace) -> Tensor:
        x = t.linear("protein_projector", t.input(width, Axis.IMAGE_TOKENS), c.hidden, bias=True)
        return t.norm("norm", x, style="layer")

    m.single("projector", lambda t: held(t, "latents", c.size("resampler_num_latents"), width))
    m.stack(c.count("resampler_depth"), layer, width=width, axis=Axis.IMAGE_TOKENS)
    m.single("projector", end)


def adapter(t: Trace, x: Tensor, c: Config) -> Tensor:
    """Gated attention to the protein and a gated block; without a protein it does not run."""
    width = c.heads * (c.hidden // c.heads)
    shape = Heads(c.heads, c.heads, c.hidden // c.heads, rotary_dim=0, causal=False, cached=False)
    seen, split = t.input(c.hidden, Axis.IMAGE_TOKENS), column(c.heads)
    held(t, "gate_attention", 1)
    held(t, "gate_ffw", 1)
    q = t.linear("query", t.norm("attention_norm", x), width, bias=True, split=split)
    k, v = (t.linear(f"{name}_protein", seen, width, bias=True, split=split) for name in ("key", "value"))
    out_bias = c.flag("aligner_enable_bias", True)
    out = t.linear("out_proj", attend(t, q, k, v, shape), c.hidden, bias=out_bias, split=row(c.heads))
    x = t.add(x, t.elementwise("scale", out))
    inner = c.hidden * c.size("aligner_ffn_mult")
    normed = t.norm("ff.norm", x, style="layer")
    fed = plain(t, normed, inner, module="ff", names=("fc1", "fc2"), bias=False)
    return t.add(x, t.elementwise("scale", fed))


@decoder("evolla", ties=False)
def evolla(c: Config, m: ModelBuilder) -> None:
    """Llama, its layers evenly joined by adapters to the protein's tokens."""
    stated = c.mapping("protein_encoder_config")
    protein = Config({**PROTEIN, **stated}, "", f"{c.path}.protein_encoder_config")
    llama(c, m)
    with m.component("encoder"), m.prefix("protein_encoder.model"):
        protein_encoder(protein, m)
    with m.component("projector"):
        with m.prefix("protein_encoder.sequence_compressor_resampler"):
            resampler(c, m, protein.hidden)
        period = max(c.layers // c.size("aligner_num_add_layers"), 1)
        at = [i for i in range(c.layers) if (i + 1) % period == 0]
        m.stack(
            len(at), partial(adapter, c=c), width=c.hidden, at=at, name="layers.{}.adapter",
            axis=Axis.IMAGE_TOKENS,
        )  # fmt: skip
