"""Kosmos 2 and 2.5 (arXiv 2306.14824, 2309.11419), and Pix2Struct, whose tower the second borrows."""

from functools import partial

from ..blocks.attention import Heads, grouped
from ..blocks.cross import cross_attention
from ..blocks.encoder_decoder import halves
from ..blocks.feed_forward import gated
from ..blocks.vision import both_ways, held, vision_layer
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace, column, row
from .composite import picture, see, tower
from .registry import family
from .towers import clip

NAMES = ("q_proj", "k_proj", "v_proj", "out_proj")


@tower("kosmos_2_vision_model")
def kosmos_vision(c: Config, m: ModelBuilder) -> None:
    """CLIP's tower one level deeper."""
    with m.prefix("model"):
        clip(c, m)


@tower("kosmos_2_5_vision_model", "pix2struct_vision_model")
def pix2struct_vision(c: Config, m: ModelBuilder) -> None:
    """Pix2Struct's tower (arXiv 2210.03347): patches of any aspect, positions by row and column."""
    own = c.model_type == "kosmos_2_5_vision_model"
    head_dim, inner = c.size("head_dim" if own else "d_kv"), c.size("intermediate_size" if own else "d_ff")
    rows = c.size("max_num_patches" if own else "seq_len")
    heads = Heads(c.heads, c.heads, head_dim, rotary_dim=0, causal=False, cached=False)

    def embed(t: Trace) -> Tensor:
        x = t.linear(
            "patch_projection", t.input(c.size("patch_embed_hidden_size"), Axis.PATCHES), c.hidden, bias=True
        )
        for name in ("row_embedder", "column_embedder"):
            x = t.add(x, t.embedding(name, rows, c.hidden, axis=Axis.PATCHES))
        return x

    layer = partial(
        vision_layer,
        heads=heads,
        inner=inner,
        act=c.text("dense_act_fn", "gelu_new"),
        module="attention",
        names=("query", "key", "value", "output"),
        bias=False,
        style="rms",
        norms=("pre_attention_layer_norm", "pre_mlp_layer_norm"),
        mlp_names=("wi_0", "wi_1", "wo"),
        mlp_bias=False,
    )
    m.single("vision", embed, name="embeddings")
    m.stack(c.layers, layer, width=c.hidden, name="encoder.layer.{}", axis=Axis.PATCHES)
    m.single("vision", lambda t: t.norm("layernorm", t.input(c.hidden, Axis.PATCHES)))
    picture(m, patches=rows, tokens=rows)


def text_stack(c: Config, m: ModelBuilder, *, inner_norm: bool, segments: bool) -> None:
    """Pre-norm layers with one more norm inside the feed-forward block (and in Kosmos 2 the attention)."""
    width, count, inner = c.size("embed_dim"), c.size("attention_heads"), c.size("ffn_dim")
    if width % count:
        raise c.wrong("attention_heads", "config_not_divisible", value=count, of=width)
    shape = Heads(count, count, width // count, rotary_dim=0, dropout=c.number("attention_dropout", 0.0))
    attention = partial(
        grouped,
        shape=shape,
        names=NAMES,
        bias=True,
        out_norm="inner_attn_ln" if inner_norm else None,
        qk_style="layer",
    )

    def feed(t: Trace, x: Tensor) -> Tensor:
        with t.scope("ffn"):
            h = t.elementwise(
                c.text("activation_function", "gelu"),
                t.linear("fc1", x, inner, bias=True, split=column(inner)),
            )
            return t.linear(
                "fc2", t.norm("ffn_layernorm", h, style="layer"), width, bias=True, split=row(inner)
            )

    def words(t: Trace) -> Tensor:
        x = t.elementwise("scale", t.embedding("embed_tokens", c.vocab, width))
        return t.add(x, t.embedding("segment_emb", 2, width)) if segments else x

    parts = (("self_attn_layer_norm", attention), ("final_layer_norm", feed))
    m.hidden_size, m.vocab_size = width, c.vocab
    m.single("embedding", words)
    m.stack(c.count("layers"), lambda t, x: halves(t, x, parts, pre=True), width=width)
    m.final_norm("layer_norm", width, style="layer")


@family("kosmos-2", "kosmos-2.5")
def kosmos(c: Config, m: ModelBuilder) -> None:
    """A language model whose learned latents attend to the tower's patches."""
    text = c.sub("text_config")
    first = c.model_type == "kosmos-2"
    with m.prefix("text_model.model"):
        text_stack(text, m, inner_norm=first, segments=not first)
    tied = text.tied or (first and c.tied)
    m.head("text_model.lm_head", m.hidden_size, text.vocab, tied=tied)
    vision = see(c, m, "vision_model")
    width, queries = m.hidden_size, c.size("latent_query_num")
    count = text.size("attention_heads")
    shape = both_ways(count, width)

    def read(t: Trace) -> Tensor:
        held(t, "latent_query", queries, width)
        t.linear("dense", t.input(vision.hidden, Axis.PATCHES), width, bias=True)
        return cross_attention(
            t,
            t.input(width, Axis.IMAGE_TOKENS),
            shape,
            module="x_attn",
            names=NAMES,
            bias=True,
            axis=Axis.PATCHES,
        )

    m.single("projector", read, name="image_to_text_projection")
    m.notes["image"] |= {"tokens": queries}
    m.notes["kind"] = "image_text"


@family("pix2struct")
def pix2struct(c: Config, m: ModelBuilder) -> None:
    """A tower, and T5's decoder under names of its own."""
    vision = see(c, m, "encoder")
    text = c.sub("text_config")
    width = text.size("hidden_size")
    heads = text.size("num_heads")
    if width % heads:
        raise text.wrong("num_heads", "config_not_divisible", value=heads, of=width)
    shape = Heads(heads, heads, width // heads, rotary_dim=0, score_bias=True)
    names = ("attention.query", "attention.key", "attention.value", "attention.output")

    def layer(t: Trace, x: Tensor, has_table: bool) -> Tensor:
        if has_table:
            held(
                t,
                "self_attention.attention.relative_attention_bias.weight",
                text.size("relative_attention_num_buckets"),
                heads,
            )
        parts = (
            (
                "self_attention.layer_norm",
                partial(grouped, shape=shape, module="self_attention", names=names),
            ),
            (
                "encoder_decoder_attention.layer_norm",
                partial(cross_attention, shape=shape, module="encoder_decoder_attention", names=names),
            ),
            (
                "mlp.layer_norm",
                partial(
                    gated,
                    inner=text.size("d_ff"),
                    module="mlp.DenseReluDense",
                    names=("wi_0", "wi_1", "wo"),
                    activation=text.text("dense_act_fn", "gelu_new"),
                ),
            ),
        )
        return halves(t, x, parts, pre=True, style="rms")

    with m.prefix("decoder"):
        m.embed("embed_tokens", text.vocab, width)
        m.stack(text.count("num_layers"), layer, width=width, name="layer.{}", kinds=lambda i: i == 0)
        m.final_norm("final_layer_norm", width)
        m.head("lm_head", width, text.vocab, tied=c.tied)
    m.notes |= {
        "kind": "encoder_decoder",
        "source": m.notes["image"]["tokens"],
        "source_width": vision.hidden,
    }
