"""Encoders that see: ModernVBERT and UltraVBERT over SigLIP's patches, NeoMME over patches themselves."""

from functools import partial

from ..blocks.attention import Heads, attend, turn
from ..blocks.feed_forward import plain
from ..blocks.vision import two_layers
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Role, Tensor
from ..trace import Trace, column, row
from .composite import language, picture, project, see
from .encoders_modern import both
from .mixtures import kinds
from .registry import family


def connect(c: Config, m: ModelBuilder, norm: str | None) -> Config:
    """The tower and, in squares of its patches, one linear layer to the text; gives the text's fields."""
    vision = see(c, m, "model.vision_model")
    text = c.sub("text_config")
    width = vision.hidden * c.size("pixel_shuffle_factor") ** 2

    def write(t: Trace) -> Tensor:
        x = t.linear("modality_projection", t.input(width, Axis.IMAGE_TOKENS), text.hidden)
        return t.norm(norm, x) if norm else x

    project(m, "model.connector", write)
    text = language(c, m, "model.text_model")
    m.notes["kind"] = "encoder"
    return text


@family("modernvbert")
def modernvbert(c: Config, m: ModelBuilder) -> None:
    """ModernVBERT (arXiv 2510.01149)."""
    text = connect(c, m, None)

    def dense(t: Trace) -> Tensor:
        x = t.linear(
            "dense", t.input(text.hidden), text.hidden, bias=text.flag("classifier_bias"), role=Role.OTHER
        )
        x = t.elementwise(text.text("classifier_activation", "gelu"), x)
        return t.norm("norm", x, style="layer", bias=text.flag("norm_bias"))

    m.single("head", dense, name="projection_head")
    m.head("lm_head", text.hidden, text.vocab, tied=c.tied, bias=text.flag("decoder_bias", True))


@family("ultravbert")
def ultravbert(c: Config, m: ModelBuilder) -> None:
    """UltraVBERT: a norm sets the scale of a picture's tokens; a narrow head."""
    text = connect(c, m, "norm")
    inner, names = text.size("prediction_head_size"), ("linear1", "linear2")
    m.single(
        "head",
        lambda t: two_layers(t, t.input(text.hidden), names, inner, text.hidden, "gelu", bias=False),
        name="projection_head",
    )
    m.head("lm_head", text.hidden, text.vocab, tied=c.tied)


def exclusive(t: Trace, x: Tensor, shape: Heads, *, bias: bool, values: bool) -> Tensor:
    """Gated attention whose output loses what points along the token's own value; some layers add to the
    values an embedding of the token."""
    kv_split = column(shape.kv_heads, replicate=True)
    with t.scope("self_attn"):
        q = t.linear("q_proj", x, shape.query_width, bias=bias, split=column(shape.heads))
        k = t.linear("k_proj", x, shape.key_width, bias=bias, split=kv_split)
        v = t.linear("v_proj", x, shape.value_width, bias=bias, split=kv_split)
        q, k = (
            t.norm(f"{n}_norm", y, style="rms_plain", width=shape.head_dim) for n, y in (("q", q), ("k", k))
        )
        q, k = turn(t, q, k, shape)
        if values:
            v = t.add(v, t.input(shape.value_width))
        t.hold(t.parameter("exclusive_self_attention.alpha", (shape.heads,), split=column(shape.heads)))
        out = t.elementwise("subtract", attend(t, q, k, v, shape), v)
        with t.scope("output_projection"):
            gate = t.linear("gate_proj", x, shape.out_width, split=column(shape.heads))
            out = t.multiply(out, t.elementwise("sigmoid", gate))
            return t.linear("o_proj", out, x.width, bias=bias, split=row(shape.heads))


def neomme_layers(c: Config, m: ModelBuilder) -> None:
    """Local layers turned whole, global ones in part; the first and last global one read token values."""
    last = c.layers - 1
    usual = [
        "full_attention" if not (i + 1) % 6 or i == last else "sliding_attention" for i in range(c.layers)
    ]
    types = kinds(c, "layer_types", usual, ("full_attention", "sliding_attention"))
    everywhere = [i for i, kind in enumerate(types) if kind == "full_attention"]
    if not everywhere:
        raise c.wrong("layer_types", "config_unknown_value", value="sliding_attention")
    reads, turned = {everywhere[0], everywhere[-1]}, c.head_dim // 4
    mlp = partial(plain, inner=c.inner, activation=c.text("hidden_act"), bias=c.flag("mlp_bias"))

    def layer(t: Trace, x: Tensor, kind: str, values: bool) -> Tensor:
        local = kind == "sliding_attention"
        shape = both(c, window=c.maybe("sliding_window") if local else None,
                     rotary_dim=None if local else turned)  # fmt: skip
        t.hold(t.parameter("lambdas", (2,)))
        mixed = t.add(t.elementwise("scale", x), t.input(x.width))
        mixed = t.norm("input_layernorm", mixed, style="rms_plain")
        mixed = exclusive(t, mixed, shape, bias=c.flag("attention_bias"), values=values)
        x = t.add(x, t.elementwise("scale", mixed))
        fed = mlp(t, t.norm("post_attention_layernorm", x, style="rms_plain"))
        return t.add(x, t.elementwise("scale", fed))

    m.stack(c.layers, layer, width=c.hidden, kinds=lambda i: (types[i], i in reads))


@family("neomme")
def neomme(c: Config, m: ModelBuilder) -> None:
    """NeoMME: one encoder for text and the patches of documents, no tower."""
    rank, pixels = c.size("embedding_rank"), 3 * c.size("patch_size") ** 2

    def embed(t: Trace) -> Tensor:
        x = t.embedding("embed_tokens.word_embeddings", c.vocab, rank)
        x = t.linear("embed_tokens.embedding_projection", x, c.hidden)
        return t.norm("embedding_norm", x, style="rms_plain")

    def patch(t: Trace) -> Tensor:
        x = t.norm("norm", t.input(pixels, Axis.IMAGE_TOKENS), style="layer")
        x = t.elementwise("gelu", t.linear("up_proj", x, 2 * c.hidden))
        return t.linear("down_proj", x, c.hidden, bias=True)

    def transform(t: Trace) -> Tensor:
        stored = (c.hidden, rank)
        x = t.input(c.hidden)
        return t.linear("unembedding_projection", x, rank, stored=stored, tied=c.tied, role=Role.OTHER)

    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    m.notes["kind"] = "encoder"
    with m.prefix("model"):
        m.single("embedding", embed)
        m.single("projector", patch, name="patch_embeddings")
        values = c.kv_heads * c.head_dim
        m.single("embedding", lambda t: t.embedding("value_embeddings", c.vocab, values))
        neomme_layers(c, m)
        m.final_norm("final_norm", c.hidden, style="rms_plain")
    picture(m, patch=c.size("patch_size"), merge=1)
    m.head("lm_head", rank, c.vocab, tied=c.tied, before=transform)
