"""Models that speak, play or listen in ways of their own: Dia, SpeechT5, Pop2Piano, Fun-ASR Nano."""

from collections.abc import Callable
from functools import partial

from ..blocks.attention import Heads, attend, grouped
from ..blocks.cross import cross_attention
from ..blocks.encoder_decoder import halves
from ..blocks.feed_forward import fused_gated, plain
from ..blocks.residual import pre_norm
from ..blocks.vision import held, two_layers
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace, column, row
from .composite import language, logits, see, tower
from .florence import stages
from .llama import activation
from .registry import family
from .t5 import t5

NAMES = ("q_proj", "k_proj", "v_proj", "o_proj")
BART_NAMES = ("q_proj", "k_proj", "v_proj", "out_proj")
FFN = ("intermediate_dense", "output_dense")


@family("dia")
def dia(c: Config, m: ModelBuilder) -> None:
    """Dia: text in bytes to nine parallel code books of sound; their embeddings are summed."""
    text, sound = c.sub("encoder_config"), c.sub("decoder_config")
    rows = sound.vocab * sound.size("num_channels")
    own = Heads.of(text, causal=False, cached=False)
    heads, cross_heads = (sound.size(f"cross_num_{name}_heads") for name in ("attention", "key_value"))
    if heads % cross_heads:
        raise sound.wrong("cross_num_key_value_heads", "config_not_divisible", value=cross_heads, of=heads)
    crossed = Heads(heads, cross_heads, sound.size("cross_head_dim"), rotary_dim=0)

    def encode(t: Trace, x: Tensor) -> Tensor:
        mlp = partial(fused_gated, inner=text.inner, activation=activation(text))
        attention = partial(grouped, shape=own, module="self_attention")
        return pre_norm(t, x, attention, mlp, names=("pre_sa_norm", "post_sa_norm"))

    parts = (
        ("pre_sa_norm", partial(grouped, shape=Heads.of(sound), module="self_attention")),
        (
            "pre_ca_norm",
            partial(cross_attention, shape=crossed, module="cross_attention", names=NAMES,
                    source=sound.size("cross_hidden_size")),
        ),
        ("pre_mlp_norm", partial(fused_gated, inner=sound.inner, activation=activation(sound))),
    )  # fmt: skip
    m.notes["kind"] = "encoder_decoder"
    m.hidden_size, m.vocab_size = sound.hidden, sound.vocab
    with m.component("encoder"), m.prefix("model.encoder"):
        m.single("encoder", lambda t: t.embedding("embedding", text.vocab, text.hidden, axis=Axis.SOURCE))
        m.stack(text.layers, encode, width=text.hidden, axis=Axis.SOURCE)
        m.single("encoder", lambda t: t.norm("norm", t.input(text.hidden, Axis.SOURCE)))
    with m.prefix("model.decoder"):
        m.single("embedding", lambda t: t.embedding("embeddings.embed", rows, sound.hidden))
        m.stack(sound.layers, lambda t, x: halves(t, x, parts, pre=True, style="rms"), width=sound.hidden)
        m.final_norm("norm", sound.hidden)
    m.head("logits_dense", sound.hidden, rows, tied=False, adapted=True)


@family("pop2piano")
def pop2piano(c: Config, m: ModelBuilder) -> None:
    """Pop2Piano (arXiv 2211.00895): T5 over mel frames, an embedding for each composer."""
    t5(c, m)
    rows, width = c.size("composer_vocab_size"), c.size("d_model")
    m.single(
        "projector",
        lambda t: t.embedding("mel_conditioner.embedding", rows, width, axis=Axis.BATCH),
    )


def wave_stem(c: Config, t: Trace) -> Tensor:
    """Convolutions over the wave, a projection, positions by a wide grouped convolution."""
    dims, kernels = stages(c, "conv_dim"), stages(c, "conv_kernel")
    if len(kernels) < len(dims):
        raise c.wrong("conv_kernel", "config_layer_types", value=len(kernels), layers=len(dims))
    bias, everywhere = c.flag("conv_bias"), c.text("feat_extract_norm", "group") == "layer"
    if c.number("mask_time_prob", 0.05) > 0 or c.number("mask_feature_prob", 0.0) > 0:
        held(t, "masked_spec_embed", c.hidden)
    x = t.input(1, Axis.SOURCE)
    for i, (width, kernel) in enumerate(zip(dims, kernels, strict=False)):
        with t.scope(f"feature_encoder.conv_layers.{i}"):
            x = t.convolution("conv", x, width, kernel=(kernel,), bias=bias)
            if everywhere or i == 0:
                x = t.norm("layer_norm", x, style="layer" if everywhere else "group", bias=True)
        x = t.elementwise(c.text("feat_extract_activation", "gelu"), x)
    x = t.norm("feature_projection.layer_norm", x, style="layer")
    x = t.linear("feature_projection.projection", x, c.hidden, bias=True)
    return t.add(x, positions(c, t, x))


def positions(c: Config, t: Trace, x: Tensor) -> Tensor:
    """A grouped convolution whose weight is kept as direction and length."""
    kernel, groups = c.size("num_conv_pos_embeddings"), c.size("num_conv_pos_embedding_groups")
    if c.hidden % groups:
        raise c.wrong("num_conv_pos_embedding_groups", "config_not_divisible", value=groups, of=c.hidden)
    with t.scope("pos_conv_embed.conv"):
        held(t, "bias", c.hidden)
        held(t, "parametrizations.weight.original0", 1, 1, kernel)
        held(t, "parametrizations.weight.original1", c.hidden, c.hidden // groups, kernel)
    return t.elementwise("gelu", x)


def bart_heads(c: Config, side: str) -> Heads:
    """Heads of one of the two stacks."""
    count = c.size(f"{side}_attention_heads")
    if c.hidden % count:
        raise c.wrong(f"{side}_attention_heads", "config_not_divisible", value=count, of=c.hidden)
    decodes = side == "decoder"
    return Heads(count, count, c.hidden // count, rotary_dim=0, causal=decodes, cached=decodes,
                 score_bias=not decodes, dropout=c.number("attention_dropout", 0.0))  # fmt: skip


def feed_forward(c: Config, side: str) -> Callable[[Trace, Tensor], Tensor]:
    """The block of one of the two stacks."""
    inner = c.size(f"{side}_ffn_dim")
    return partial(plain, inner=inner, module="feed_forward", names=FFN, activation=activation(c))


def speech_encoder(c: Config, m: ModelBuilder) -> None:
    """wav2vec 2.0's stem, layers with learned relative positions."""
    shape, drop = bart_heads(c, "encoder"), c.number("hidden_dropout", 0.0)
    attention = partial(grouped, shape=shape, module="attention", names=BART_NAMES, bias=True)
    mlp = feed_forward(c, "encoder")
    parts = (("layer_norm", attention), ("final_layer_norm", mlp))
    rows = 2 * c.size("encoder_max_relative_position")

    def begin(t: Trace) -> Tensor:
        held(t, "embed_positions.pe_k.weight", rows, shape.head_dim)
        return t.norm("layer_norm", t.input(c.hidden, Axis.SOURCE), style="layer")

    m.single("encoder", partial(wave_stem, c), name="prenet")
    with m.prefix("wrapped_encoder"):
        m.single("encoder", begin)
        m.stack(
            c.count("encoder_layers"),
            lambda t, x: halves(t, x, parts, pre=False, dropout=drop),
            width=c.hidden,
            axis=Axis.SOURCE,
        )


@family("speecht5")
def speecht5(c: Config, m: ModelBuilder) -> None:
    """SpeechT5 (arXiv 2110.07205) as a transcriber."""
    if c.get("architectures") not in (None, ["SpeechT5ForSpeechToText"]):
        raise c.uncovered("architectures", "only its transcriber is described here")
    shape, drop = bart_heads(c, "decoder"), c.number("hidden_dropout", 0.0)
    mlp = feed_forward(c, "decoder")
    parts = (
        ("self_attn_layer_norm", partial(grouped, shape=shape, names=BART_NAMES, bias=True)),
        ("encoder_attn_layer_norm", partial(cross_attention, shape=shape, bias=True)),
        ("final_layer_norm", mlp),
    )
    m.notes["kind"] = "encoder_decoder"
    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    with m.prefix("speecht5"):
        with m.component("encoder"), m.prefix("encoder"):
            speech_encoder(c, m)
        with m.prefix("decoder"):
            m.embed("prenet.embed_tokens", c.vocab, c.hidden, sinusoidal=True)
            m.stack(
                c.count("decoder_layers"),
                lambda t, x: halves(t, x, parts, pre=False, dropout=drop),
                width=c.hidden,
                name="wrapped_decoder.layers.{}",
            )
    m.head("text_decoder_postnet.lm_head", c.hidden, c.vocab, tied=c.tied)


def memory_layer(t: Trace, x: Tensor, c: Config, *, last: bool = False, kernel: int = 0) -> Tensor:
    """Attention, beside it a depthwise convolution of the values (arXiv 1803.05030), a feed-forward block."""
    width = c.hidden
    shape = Heads(c.heads, c.heads, width // c.heads, rotary_dim=0, causal=False, cached=False,
                  dropout=c.number("attention_dropout", 0.0))  # fmt: skip
    normed = t.norm("input_layernorm", x, style="layer")
    with t.scope("self_attn"):
        split = column(c.heads)
        q, k, v = (t.linear(f"{name}_proj", normed, width, bias=True, split=split) for name in "qkv")
        mixed = t.linear("o_proj", attend(t, q, k, v, shape), width, bias=True, split=row(c.heads))
        if kernel:
            mixed = t.add(
                mixed, t.convolution("fsmn.conv", v, width, kernel=(kernel,), groups=width, bias=False)
            )
    x = t.add(x, mixed) if x.width == width else mixed
    names, act = ("fc1", "fc2"), c.text("hidden_act", "relu")
    fed = plain(t, t.norm("post_attention_layernorm", x, style="layer"), c.inner, names=names, activation=act)
    x = t.add(x, fed)
    return t.norm("final_layernorm", x, style="layer") if last else x


@tower("fun_asr_nano_encoder")
def fun_asr_encoder(c: Config, m: ModelBuilder) -> None:
    """Fun-ASR Nano's encoder: stacked mel frames, two runs of layers that each end in a norm."""
    if c.hidden % c.heads:
        raise c.wrong("num_attention_heads", "config_not_divisible", value=c.heads, of=c.hidden)
    stacked, kernel = c.size("num_mel_bins") * c.size("num_stacked_frames"), c.size("fsmn_kernel_size")
    ends = (c.layers - c.size("num_timestamp_prediction_layers", least=0) - 1, c.layers - 1)
    write = partial(memory_layer, c=c, kernel=kernel)
    m.stack(1, lambda t, x: write(t, x, last=0 in ends), width=stacked, axis=Axis.SOURCE)
    m.stack(
        c.layers - 1, lambda t, x, last: write(t, x, last=last), width=c.hidden, axis=Axis.SOURCE, start=1,
        kinds=lambda i: i in ends,
    )  # fmt: skip


@family("fun_asr_nano")
def fun_asr_nano(c: Config, m: ModelBuilder) -> None:
    """Fun-ASR Nano: two linear layers and a few of the encoder's kind before a language model."""
    audio = see(c, m, "model.audio_tower", "audio_config", component="audio")
    text, adaptor = language(c, m), c.sub("adaptor_config")
    heads, width = adaptor.heads, adaptor.hidden
    if width % heads:
        raise adaptor.wrong("num_attention_heads", "config_not_divisible", value=heads, of=width)
    act, inner = adaptor.text("projector_hidden_act", "relu"), adaptor.size("projector_hidden_size")
    names = ("linear_1", "linear_2")
    with m.component("projector"), m.prefix("model.multi_modal_projector"):
        m.single(
            "projector",
            lambda t: two_layers(t, t.input(audio.hidden, Axis.SOURCE), names, inner, adaptor.hidden, act),
        )
        layer = partial(memory_layer, c=adaptor)
        m.stack(adaptor.layers, lambda t, x: layer(t, x), width=adaptor.hidden, axis=Axis.SOURCE)
    logits(c, m, text)
