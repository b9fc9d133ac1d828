"""SeamlessM4T as a speech translator (arXiv 2308.11596, 2312.05187); VibeVoice's transcriber."""

from functools import partial

from ..blocks.attention import Heads, grouped
from ..blocks.feed_forward import plain
from ..blocks.vision import held
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .bart import Line, decoder
from .composite import language, logits, project, see, tower
from .florence import stages
from .registry import family
from .speech import batch_norm

NAMES = ("linear_q", "linear_k", "linear_v", "linear_out")


def speech_heads(c: Config) -> Heads:
    """Heads of the speech encoder, which divide its width."""
    count = c.size("speech_encoder_attention_heads")
    if c.hidden % count:
        raise c.wrong("speech_encoder_attention_heads", "config_not_divisible", value=count, of=c.hidden)
    return Heads(count, count, c.hidden // count, rotary_dim=0, causal=False, cached=False)


def dense(c: Config, module: str, inner: int, act: str) -> partial[Tensor]:
    """A feed-forward block."""
    return partial(
        plain, inner=inner, module=module, names=("intermediate_dense", "output_dense"), activation=act
    )


def conformer(t: Trace, x: Tensor, c: Config, shape: Heads) -> Tensor:
    """Half a feed-forward block, attention, convolution, the other half (arXiv 2005.08100)."""
    inner, act = c.size("speech_encoder_intermediate_size"), c.text("speech_encoder_hidden_act", "swish")
    kind, second = c.text("position_embeddings_type", "relative"), c.model_type == "seamless_m4t_v2"
    x = t.add(x, dense(c, "ffn1", inner, act)(t, t.norm("ffn1_layer_norm", x, style="layer")))
    if kind == "relative":
        with t.scope("self_attn"):
            t.linear("linear_pos", t.input(x.width, Axis.SEQUENCE), x.width)
            held(t, "pos_bias_u", shape.heads, shape.head_dim)
            held(t, "pos_bias_v", shape.heads, shape.head_dim)
    elif kind == "relative_key":
        reach = c.size("left_max_position_embeddings") + c.size("right_max_position_embeddings") + 1
        held(t, "self_attn.distance_embedding.weight", reach, shape.head_dim)
    normed = t.norm("self_attn_layer_norm", x, style="layer")
    x = t.add(x, grouped(t, normed, shape, names=NAMES, bias=True))
    with t.scope("conv_module"):
        h = t.convolution(
            "pointwise_conv1", t.norm("layer_norm", x, style="layer"), 2 * x.width, kernel=(1,), bias=False
        )
        h = t.elementwise("glu", h, width=x.width)
        kernel = (c.size("conv_depthwise_kernel_size"),)
        h = t.convolution("depthwise_conv", h, x.width, kernel=kernel, groups=x.width, bias=False)
        h = t.norm("depthwise_layer_norm", h, style="layer") if second else batch_norm(t, "batch_norm", h)
        x = t.add(
            x, t.convolution("pointwise_conv2", t.elementwise(act, h), x.width, kernel=(1,), bias=False)
        )
    x = t.add(x, dense(c, "ffn2", inner, act)(t, t.norm("ffn2_layer_norm", x, style="layer")))
    return t.norm("final_layer_norm", x, style="layer")


def adapter(t: Trace, x: Tensor, c: Config, shape: Heads) -> Tensor:
    """Eight positions become one, on the residual and in front of the attention."""
    kernel = (c.size("adaptor_kernel_size"),)
    t.convolution(
        "residual_conv", t.norm("residual_layer_norm", x, style="layer"), 2 * x.width, kernel=kernel
    )
    h = t.convolution(
        "self_attn_conv", t.norm("self_attn_layer_norm", x, style="layer"), 2 * x.width, kernel=kernel
    )
    x = t.add(x, grouped(t, t.elementwise("glu", h, width=x.width), shape, names=NAMES, bias=True))
    inner = c.size("speech_encoder_intermediate_size")
    return t.add(x, dense(c, "ffn", inner, "relu")(t, t.norm("ffn_layer_norm", x, style="layer")))


def write_encoder(c: Config, m: ModelBuilder) -> None:
    """A projection of mel features, conformers, a feed-forward block, adapters."""
    width, shape = c.hidden, speech_heads(c)

    def enter(t: Trace) -> Tensor:
        frames = t.input(c.size("feature_projection_input_dim"), Axis.SOURCE)
        return t.linear("projection", t.norm("layer_norm", frames, style="layer"), width, bias=True)

    def last(name: str) -> None:
        m.single("norm", lambda t: t.norm(name, t.input(width, Axis.SOURCE), style="layer"))

    m.single("audio", enter, name="feature_projection")
    m.stack(
        c.count("speech_encoder_layers"),
        partial(conformer, c=c, shape=shape),
        width=width,
        axis=Axis.SOURCE,
        name="encoder.layers.{}",
    )
    last("encoder.layer_norm")
    m.single(
        "audio",
        lambda t: dense(c, "intermediate_ffn", c.size("speech_encoder_intermediate_size"), "relu")(
            t, t.input(width, Axis.SOURCE)
        ),
    )
    if c.flag("add_adapter", True):
        m.stack(
            c.count("num_adapter_layers"),
            partial(adapter, c=c, shape=shape),
            width=width,
            axis=Axis.SOURCE,
            name="adapter.layers.{}",
        )
    last("inner_layer_norm")


@family("seamless_m4t", "seamless_m4t_v2")
def seamless(c: Config, m: ModelBuilder) -> None:
    """Speech to text: the speech encoder and the text decoder (the class that auto mappings name)."""
    stated = c.items("architectures") or [""]
    if stated[0] and not str(stated[0]).endswith("ForSpeechToText"):
        raise c.uncovered("architectures", "only its speech to text model is described here")
    width = c.hidden
    text = Config({**c.data, "d_model": width}, c.model_type, c.path)
    line = Line(pre=True, final_norm="layer_norm", cross="cross_attention", feed_norm="ffn_layer_norm")
    feed = partial(
        plain,
        inner=c.size("decoder_ffn_dim"),
        module="ffn",
        names=("fc1", "fc2"),
        activation=c.text("activation_function", "relu"),
    )
    m.notes["kind"] = "encoder_decoder"
    m.hidden_size, m.vocab_size = width, c.vocab
    m.single("embedding", lambda t: t.embedding("shared", c.vocab, width))
    with m.component("encoder"), m.prefix("speech_encoder"):
        write_encoder(c, m)
    with m.prefix("text_decoder"):
        m.single("embedding", lambda t: t.embedding("embed_tokens", c.vocab, width, tied=c.tied))
        decoder(text, m, line, lambda sparse: feed)
    m.head("lm_head", width, c.vocab, tied=c.tied)


def conv_block(t: Trace, x: Tensor, c: Config) -> Tensor:
    """A depthwise convolution and a feed-forward block, both scaled channel by channel."""
    held(t, "gamma", x.width)
    held(t, "ffn_gamma", x.width)
    h = t.convolution(
        "mixer.conv", t.norm("norm", x), x.width, kernel=(c.size("kernel_size"),), groups=x.width
    )
    x = t.add(x, t.elementwise("scale", h))
    fed = plain(
        t,
        t.norm("ffn_norm", x),
        x.width * c.size("ffn_expansion"),
        module="ffn",
        names=("linear1", "linear2"),
        activation=c.text("hidden_act", "gelu"),
    )
    return t.add(x, t.elementwise("scale", fed))


@tower("vibevoice_acoustic_tokenizer_encoder")
def vibe_encoder(c: Config, m: ModelBuilder) -> None:
    """VibeVoice's tokenizer (arXiv 2508.19205): stages of convolutions, each coarser and twice as wide."""
    depths = stages(c, "depths")
    ratios = stages(c, "downsampling_ratios", len(depths) - 1) if len(depths) > 1 else []
    width, kernel = c.size("num_filters"), c.size("kernel_size")

    def step(name: str, fan_in: int, out: int, reach: int) -> None:
        m.single("audio", lambda t: t.convolution(name, t.input(fan_in, Axis.SOURCE), out, kernel=(reach,)))

    step("stem.conv.conv", c.size("channels"), width, kernel)
    m.stack(depths[0], partial(conv_block, c=c), width=width, name="stem.stage.{}", axis=Axis.SOURCE)
    for index, ratio in enumerate(ratios):
        step(f"conv_layers.{index}.conv.conv", width, 2 * width, 2 * ratio)
        width *= 2
        m.stack(
            depths[index + 1],
            partial(conv_block, c=c),
            width=width,
            name=f"conv_layers.{index}.stage.{{}}",
            axis=Axis.SOURCE,
        )
    step("head.conv", width, c.hidden, kernel)


@family("vibevoice_asr")
def vibevoice_asr(c: Config, m: ModelBuilder) -> None:
    """VibeVoice ASR: two tokenizers, sound and meaning, added for Qwen 2."""
    kinds = ("acoustic", "semantic")
    widths = [
        see(
            c, m, f"model.{kind}_tokenizer_encoder", f"{kind}_tokenizer_encoder_config", component="audio"
        ).hidden
        for kind in kinds
    ]
    text = language(c, m)

    def write(t: Trace) -> Tensor:
        outs = []
        for kind, width in zip(kinds, widths, strict=True):
            x = t.linear(f"{kind}_linear_1", t.input(width, Axis.IMAGE_TOKENS), text.hidden, bias=True)
            outs.append(t.linear(f"{kind}_linear_2", t.norm(f"{kind}_norm", x), text.hidden, bias=True))
        return t.add(*outs)

    project(m, "model.multi_modal_projector", write)
    logits(c, m, text)
