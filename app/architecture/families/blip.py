"""BLIP, BLIP-2 and InstructBLIP (arXiv 2201.12086, 2301.12597): a tower read by BERT or by a Q-Former."""

from functools import partial

from ..blocks.attention import Heads, grouped
from ..blocks.cross import cross_attention
from ..blocks.encoder_decoder import halves
from ..blocks.feed_forward import plain
from ..blocks.vision import both_ways, held, patches, vision_layer
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .bert import Shape, bert_head, write_body
from .composite import picture, see, tower
from .llama import activation
from .registry import FAMILIES, body, family
from .towers import clip, norm, places


def even(c: Config) -> int:
    """The heads, which must divide the width."""
    if c.hidden % c.heads:
        raise c.wrong("num_attention_heads", "config_not_divisible", value=c.heads, of=c.hidden)
    return c.heads


@tower(
    "blip_vision_model", "blip_2_vision_model", "instructblip_vision_model", "instructblipvideo_vision_model"
)
def blip_vision(c: Config, m: ModelBuilder) -> None:
    """ViT with queries, keys and values out of one matrix."""
    count = places(c) + 1
    heads = both_ways(even(c), c.hidden, dropout=c.number("attention_dropout", 0.0))

    def write(t: Trace) -> Tensor:
        held(t, "class_embedding", 1, 1, c.hidden)
        held(t, "position_embedding", 1, count, c.hidden)
        return patches(t, "patch_embedding", 3, c.hidden, c.pair("patch_size"))

    layer = partial(
        vision_layer,
        heads=heads,
        inner=c.inner,
        act=activation(c),
        qkv=("qkv", "projection"),
        bias=c.flag("qkv_bias", True),
        out_bias=True,
    )
    m.single("vision", write, name="embeddings")
    m.stack(c.layers, layer, width=c.hidden, name="encoder.layers.{}", axis=Axis.PATCHES)
    norm(m, "post_layernorm", c.hidden)
    picture(m, size=c.pair("image_size"), patches=count, tokens=count)


def query_former(c: Config, m: ModelBuilder, *, reads_text: bool, words_inside: bool) -> None:
    """Learned queries attend to each other and, in every second layer, to what the tower made.

    `reads_text`: words have a path of their own through the layers; `words_inside`: and an embedding.
    """
    shape = Heads(
        even(c),
        c.heads,
        c.hidden // c.heads,
        rotary_dim=0,
        causal=False,
        cached=False,
        dropout=c.number("attention_probs_dropout_prob", 0.0),
    )
    source, every = c.size("encoder_hidden_size"), c.size("cross_attention_frequency")
    drop = c.number("hidden_dropout_prob", 0.0)

    def fed(kind: str) -> partial[Tensor]:
        names = (f"intermediate{kind}.dense", f"output{kind}.dense")
        return partial(plain, inner=c.inner, module="", names=names, activation=activation(c))

    def attention(t: Trace, x: Tensor, module: str, *, crosses: bool) -> Tensor:
        names = ("attention.query", "attention.key", "attention.value", "output.dense")
        if crosses:
            return cross_attention(
                t,
                x,
                shape,
                module=module,
                names=names,
                bias=True,
                source=source,
                axis=Axis.PATCHES,
            )
        return grouped(t, x, shape, module=module, names=names, bias=True)

    def layer(t: Trace, x: Tensor, crosses: bool) -> Tensor:
        own = partial(attention, module="attention", crosses=False)
        seen = partial(attention, module="crossattention", crosses=True)
        cross = (("crossattention.output.LayerNorm", seen),) if crosses else ()
        parts = (("attention.output.LayerNorm", own), *cross, ("output_query.LayerNorm", fed("_query")))
        if reads_text:  # the text's own path, beside the queries'
            halves(t, x, (("output.LayerNorm", fed("")),), pre=False)
        return halves(t, x, parts, pre=False, dropout=drop)

    def words(t: Trace) -> Tensor:
        if not words_inside:
            return t.norm("layernorm", t.input(c.hidden, Axis.IMAGE_TOKENS), style="layer")
        with t.scope("embeddings"):
            x = t.embedding("word_embeddings", c.vocab, c.hidden, axis=Axis.IMAGE_TOKENS)
            rows = c.size("max_position_embeddings")
            x = t.add(x, t.embedding("position_embeddings", rows, c.hidden, axis=Axis.SEQUENCE))
            return t.norm("layernorm", x, style="layer")

    m.single("projector", words)
    m.stack(
        c.layers,
        layer,
        width=c.hidden,
        name="encoder.layer.{}",
        axis=Axis.IMAGE_TOKENS,
        kinds=lambda i: i % every == 0,
    )


@tower("blip_2_qformer")
def blip_2_qformer(c: Config, m: ModelBuilder) -> None:
    """BLIP-2's: queries alone, words only where `use_qformer_text_input`."""
    query_former(c, m, reads_text=c.flag("use_qformer_text_input"), words_inside=False)


@tower("instructblip_qformer", "instructblipvideo_qformer")
def instructblip_qformer(c: Config, m: ModelBuilder) -> None:
    """InstructBLIP's, which reads the instruction too (arXiv 2305.06500)."""
    query_former(c, m, reads_text=True, words_inside=True)


@family("blip-2", "instructblip", "instructblipvideo")
def blip_2(c: Config, m: ModelBuilder) -> None:
    """A tower, a Q-Former and a whole language model, decoder or encoder-decoder."""
    former, text = c.sub("qformer_config"), c.sub("text_config")
    queries = c.size("num_query_tokens")
    write = FAMILIES.get(text.model_type)
    if write is None:
        raise text.uncovered("model_type", "its language model is not described here")
    m.single("projector", lambda t: held(t, "query_tokens", 1, queries, former.hidden))
    vision = see(c, m, "vision_model")
    see(c, m, "qformer", "qformer_config", component="projector", encoder_hidden_size=vision.hidden)
    width = text.size("hidden_size")
    m.single(
        "projector",
        lambda t: t.linear(
            "language_projection", t.input(former.hidden, Axis.IMAGE_TOKENS), width, bias=True
        ),
    )
    with m.prefix("language_model"):
        write(text, m)
    m.notes["image"] |= {"tokens": queries}
    m.notes["kind"] = "image_text"


@body("blip_text_model")
def blip_text(c: Config, m: ModelBuilder) -> None:
    """BERT as a decoder that attends to the tower's patches in every layer."""
    shape = Heads(
        even(c),
        c.heads,
        c.hidden // c.heads,
        rotary_dim=0,
        dropout=c.number("attention_probs_dropout_prob", 0.0),
    )
    drop, names = (
        c.number("hidden_dropout_prob", 0.0),
        ("self.query", "self.key", "self.value", "output.dense"),
    )
    mlp = partial(
        plain,
        inner=c.inner,
        module="",
        names=("intermediate.dense", "output.dense"),
        activation=activation(c),
    )

    def layer(t: Trace, x: Tensor) -> Tensor:
        own = partial(grouped, shape=shape, module="attention", names=names, bias=True)
        seen = partial(
            cross_attention,
            shape=shape,
            module="crossattention",
            names=names,
            bias=True,
            source=c.size("encoder_hidden_size"),
        )
        parts = (
            ("attention.output.LayerNorm", own),
            ("crossattention.output.LayerNorm", seen),
            ("output.LayerNorm", mlp),
        )
        return halves(t, x, parts, pre=False, dropout=drop)

    def words(t: Trace) -> Tensor:
        x = t.embedding("word_embeddings", c.vocab, c.hidden)
        x = t.add(
            x,
            t.embedding(
                "position_embeddings", c.size("max_position_embeddings"), c.hidden, axis=Axis.SEQUENCE
            ),
        )
        return t.norm("LayerNorm", x, style="layer")

    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    m.single("embedding", words, name="embeddings")
    m.stack(c.layers, layer, width=c.hidden, name="encoder.layer.{}")


@family("blip")
def blip(c: Config, m: ModelBuilder) -> None:
    """BLIP as a captioner."""
    vision, text = see(c, m, "vision_model"), c.sub("text_config")
    forced = {"encoder_hidden_size": vision.hidden, "tie_word_embeddings": c.tied or text.tied}
    text = Config({**text.data, **forced}, text.model_type, text.path)
    with m.prefix("text_decoder.bert"):
        blip_text(text, m)
    with m.prefix("text_decoder"):
        bert_head(text, m, text.hidden, adapted=True)
    m.notes["kind"] = "image_text"


@tower("git_vision_model")
def git_vision(c: Config, m: ModelBuilder) -> None:
    """CLIP's tower one level deeper."""
    with m.prefix("vision_model"):
        clip(c, m)


def frame(t: Trace, index: int, width: int) -> None:
    """The position of one frame of a film."""
    held(t, f"img_temporal_embedding.{index}", 1, 1, width)


@family("git")
def git(c: Config, m: ModelBuilder) -> None:
    """GIT (arXiv 2205.14100): BERT's layers over patches and words together."""
    vision = c.sub("vision_config")
    with m.prefix("git"):
        write_body(Config({**c.data, "is_decoder": True}, c.model_type), m, shape=Shape("git", types=False))
        see(c, m, "image_encoder")
        frames = c.size("num_image_with_embedding", 0, least=0)
        for index in range(min(frames, 2**10)):
            m.single("projector", partial(frame, index=index, width=vision.hidden))

        def write(t: Trace) -> Tensor:
            x = t.linear("0", t.input(vision.hidden, Axis.IMAGE_TOKENS), c.hidden, bias=True)
            return t.norm("1", x, style="layer")

        m.single("projector", write, name="visual_projection.visual_projection")
    m.head("output", c.hidden, c.vocab, tied=c.tied, bias=True)
    m.notes["kind"] = "image_text"
