"""Encoder-decoders put together of two models, MVP with its prompts, ProphetNet."""

from functools import partial

from ..blocks.attention import Heads, grouped
from ..blocks.encoder_decoder import halves
from ..blocks.feed_forward import plain
from ..blocks.vision import both_ways, held, patches, vision_layer
from ..builder import ModelBuilder
from ..config import Config, defaults
from ..operations import Axis, Tensor
from ..trace import Trace
from . import prophetnet as ngram_streams
from .bart import Line, close, decoder, embed, encoder, shared
from .composite import tower
from .registry import FAMILIES, TOWERS, family
from .tasks import of_task
from .towers import norm, places


@family("mvp")
def mvp(c: Config, m: ModelBuilder) -> None:
    """MVP (arXiv 2206.12131): BART, on request with learned prompts before keys and values (the library gives
    them to the decoder alone)."""
    line = Line()
    m.notes["kind"] = "encoder_decoder"
    with m.prefix("model"):
        shared(c, m)
        for part, write in (("encoder", encoder), ("decoder", decoder)):
            with m.prefix(part):
                embed(c, m, line, part, rows=c.vocab, tied=c.tied)
                with m.component("encoder" if part == "encoder" else ""):
                    write(c, m, line)
                for kind in ("self_attn", "cross_attn") if part == "decoder" and c.flag("use_prompt") else ():
                    prompts(c, m, f"{kind}_prompt", c.count("decoder_layers"))
    close(c, m, line)


def prompts(c: Config, m: ModelBuilder, name: str, layers: int) -> None:
    """Keys and values of a prompt for every layer."""
    width, length, middle = c.size("d_model"), c.size("prompt_length"), c.size("prompt_mid_dim")

    def write(t: Trace) -> Tensor:
        x = t.embedding("prompt_embedding", length, width, axis=Axis.ONE)
        x = t.elementwise("gelu", t.linear("prompt_trans.0", x, middle, bias=True))
        return t.linear("prompt_trans.2", x, 2 * layers * width, bias=True)

    m.single("projector", write, name=name)


def prophet_heads(c: Config) -> Heads:
    """Heads of the encoder."""
    count = c.size("num_encoder_attention_heads")
    if c.hidden % count:
        raise c.wrong("num_encoder_attention_heads", "config_not_divisible", value=count, of=c.hidden)
    return Heads(
        count,
        count,
        c.hidden // count,
        rotary_dim=0,
        causal=False,
        cached=False,
        dropout=c.number("attention_dropout", 0.0),
    )


@family("prophetnet")
def prophetnet(c: Config, m: ModelBuilder) -> None:
    """ProphetNet (arXiv 2001.04063): the decoder predicts the next `ngram` tokens in streams of their own."""
    names, width = ("query_proj", "key_proj", "value_proj", "out_proj"), c.hidden
    drop = c.number("dropout", 0.0)
    m.notes["kind"] = "encoder_decoder"

    shape = prophet_heads(c)
    attention = partial(grouped, shape=shape, names=names, bias=True)
    mlp = partial(
        plain,
        inner=c.size("encoder_ffn_dim"),
        module="feed_forward",
        names=("intermediate", "output"),
        activation=c.text("activation_function", "gelu"),
    )
    parts = (("self_attn_layer_norm", attention), ("feed_forward_layer_norm", mlp))

    def words(t: Trace) -> Tensor:
        x = t.embedding("word_embeddings", c.vocab, width, axis=Axis.SOURCE, tied=c.tied)
        rows = c.size("max_position_embeddings")
        x = t.add(x, t.embedding("position_embeddings", rows, width, axis=Axis.SEQUENCE))
        return t.norm("embeddings_layer_norm", x, style="layer")

    def layer(t: Trace, x: Tensor) -> Tensor:
        return halves(t, x, parts, pre=False, dropout=drop)

    m.hidden_size, m.vocab_size = width, c.vocab
    with m.prefix("prophetnet"):
        m.single("embedding", lambda t: t.embedding("word_embeddings", c.vocab, width))
        with m.prefix("encoder"):
            m.single("embedding", words)
            with m.component("encoder"):
                m.stack(c.count("num_encoder_layers"), layer, width=width, axis=Axis.SOURCE)
        ngram_streams.write_decoder(c, m, crossed=True)
    ngram_streams.write_head(c, m)


def write_decoder(c: Config, m: ModelBuilder, width: int, projected: int | None = None) -> None:
    """The causal model that reads the encoder, `width` wide; a projection where it is narrower or wider, of
    rows that are `projected` [as wide] wide."""
    sub = c.sub("decoder")
    write = FAMILIES.get(sub.model_type)
    if write is None or not sub.flag("add_cross_attention"):
        raise sub.uncovered("model_type", "its decoder is not described here")
    with m.prefix("decoder"):
        write(sub, m)
    if m.hidden_size != width:
        m.single(
            "projector",
            lambda t: t.linear(
                "enc_to_dec_proj", t.input(projected or width, Axis.SOURCE), m.hidden_size, bias=True
            ),
        )
    m.notes["kind"] = "encoder_decoder"


@family("encoder-decoder")
def encoder_decoder(c: Config, m: ModelBuilder) -> None:
    """Two text models of any kind, the second attending to the first."""
    sub = c.sub("encoder")
    base = defaults().get(sub.model_type, {}).get("classes", {}).get("base", "")
    write = of_task(sub.model_type, base)
    if write is None:
        raise sub.uncovered("model_type", "its encoder is not described here")
    with m.component("encoder"), m.prefix("encoder"):
        write(sub, m)
    write_decoder(c, m, m.hidden_size)


@tower("vit")
def vit(c: Config, m: ModelBuilder) -> None:
    """ViT (arXiv 2010.11929), with its pooler."""
    if c.hidden % c.heads:
        raise c.wrong("num_attention_heads", "config_not_divisible", value=c.heads, of=c.hidden)
    count = places(c) + 1
    heads = both_ways(c.heads, c.hidden)

    def write(t: Trace) -> Tensor:
        held(t, "cls_token", 1, 1, c.hidden)
        held(t, "position_embeddings", 1, count, c.hidden)
        return patches(
            t, "patch_embeddings.projection", c.size("num_channels"), c.hidden, c.pair("patch_size")
        )

    layer = partial(
        vision_layer,
        heads=heads,
        inner=c.inner,
        act=c.text("hidden_act", "gelu"),
        module="attention",
        names=("q_proj", "k_proj", "v_proj", "o_proj"),
        bias=c.flag("qkv_bias", True),
        out_bias=True,
        norms=("layernorm_before", "layernorm_after"),
    )
    m.single("vision", write, name="embeddings")
    m.stack(c.layers, layer, width=c.hidden, axis=Axis.PATCHES)
    norm(m, "layernorm", c.hidden)
    out = c.size("pooler_output_size", c.hidden)
    m.single("vision", lambda t: t.linear("pooler.dense", t.input(c.hidden, Axis.IMAGES), out, bias=True))
    m.notes["image"] = {"size": c.pair("image_size"), "patches": count, "tokens": count}


@family("vision-encoder-decoder")
def vision_encoder_decoder(c: Config, m: ModelBuilder) -> None:
    """A tower and a text decoder that attends to its patches: TrOCR and captioners."""
    sub = c.sub("encoder")
    write = TOWERS.get(sub.model_type)
    if write is None:
        raise sub.uncovered("model_type", "its encoder of pictures is not described here")
    with m.component("vision"), m.prefix("encoder"):
        write(sub, m)
    m.notes["source"] = m.notes.get("image", {}).get("tokens", 0)
    write_decoder(c, m, sub.hidden)
