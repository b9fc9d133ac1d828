"""Nemotron Transcribe: encoders of words and of speakers over stacked mel frames, before Nemotron-H."""

from functools import partial

from ..blocks.attention import Heads, attend, turn
from ..blocks.feed_forward import plain
from ..blocks.residual import pre_norm
from ..blocks.vision import held
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace, column, row
from .composite import language, tower
from .composite import see as hear
from .registry import family


def speech_attention(t: Trace, x: Tensor, shape: Heads, normed: bool) -> Tensor:
    """No biases but the output's. The library makes as many values as queries, whatever the keys."""
    queries, keys = column(shape.heads), column(shape.kv_heads, replicate=True)
    with t.scope("self_attn"):
        q = t.linear("q_proj", x, shape.query_width, split=queries)
        k = t.linear("k_proj", x, shape.key_width, split=keys)
        v = t.linear("v_proj", x, shape.query_width, split=queries)
        if normed:
            q, k = (
                t.norm(f"{name}_norm", y, style="layer", width=shape.head_dim)
                for name, y in (("q", q), ("k", k))
            )
        q, k = turn(t, q, k, shape)
        return t.linear("o_proj", attend(t, q, k, v, shape), x.width, bias=True, split=row(shape.heads))


def speech_layers(c: Config, m: ModelBuilder, *, normed: bool) -> None:
    """Rotary layers between two norms; heads of query and key may be `normed`."""
    attention = partial(speech_attention, shape=Heads.of(c, causal=False, cached=False), normed=normed)
    mlp = partial(plain, inner=c.inner, names=("fc1", "fc2"), activation=c.text("hidden_act", "gelu"))
    names = ("layer_norm1", "layer_norm2")

    def norm(name: str) -> None:
        m.single("audio", lambda t: t.norm(name, t.input(c.hidden, Axis.SOURCE), style="layer"))

    norm("input_layer_norm")
    m.stack(
        c.layers, lambda t, x: pre_norm(t, x, attention, mlp, names=names, style="layer"), width=c.hidden,
        axis=Axis.SOURCE,
    )  # fmt: skip
    norm("layer_norm")


def stacked(c: Config, m: ModelBuilder) -> None:
    """Mel frames side by side through one linear layer."""
    width = c.size("subsampling_factor") * c.size("num_mel_bins")
    m.single("audio", lambda t: t.linear("embedder.projection", t.input(width, Axis.SOURCE), c.hidden))


@tower("nemotron3_5_transcribe_asr_audio", "nemotron3_diarization_audio")
def speech(c: Config, m: ModelBuilder) -> None:
    """The encoder of words, whose heads are normalised, or that of speakers."""
    stacked(c, m)
    speech_layers(c, m, normed=c.model_type == "nemotron3_5_transcribe_asr_audio")


@tower("nemotron3_diarization")
def diarization(c: Config, m: ModelBuilder) -> None:
    """Who speaks when: an encoder, back to the rate of frames, a score for each speaker."""
    head = c.sub("head_config")
    width, factor = head.size("hidden_size"), head.size("subsampling_factor")
    with m.prefix("model"):
        audio = hear(c, m, "audio_tower", "audio_config", component="audio")

    def score(t: Trace) -> Tensor:
        held(t, "silence_embeds", audio.hidden)
        x = t.linear("model.proj", t.input(audio.hidden, Axis.SOURCE), width, bias=True)
        x = t.convolution("model.upsampler.conv", x, factor * width, kernel=(3,))
        x = t.elementwise("relu", t.linear("classifier.dense", x, width, bias=True, fan_in=width))
        return t.linear("classifier.out_proj", x, head.size("num_speakers"), bias=True, fan_in=width)

    m.single("audio", score)


@tower("nemotron3_5_transcribe_audio")
def audio(c: Config, m: ModelBuilder) -> None:
    """Both encoders; speakers are marked on the words' rows."""
    words = hear(c, m, "asr_encoder", "asr_config", component="audio")
    hear(c, m, "diarization_model", "diarization_config", component="audio")
    speakers = c.sub("diarization_config").sub("head_config").size("num_speakers")

    def norms(t: Trace) -> Tensor:
        t.norm("speaker_norm", t.input(speakers, Axis.SOURCE), style="layer")
        return t.norm("asr_norm", t.input(words.hidden, Axis.SOURCE), style="layer")

    m.single("audio", norms)


@tower("nemotron3_5_transcribe_word_timestamp")
def timestamps(c: Config, m: ModelBuilder) -> None:
    """A small encoder at a finer rate that tells when each word was said."""
    kernel = (c.size("upsampling_factor"),)

    def finer(t: Trace) -> Tensor:
        return t.convolution("upsampler", t.input(c.hidden, Axis.SOURCE), c.hidden, kernel=kernel)

    m.single("audio", finer)
    speech_layers(c, m, normed=True)


@family("nemo_speechlm")
def nemo_speechlm(c: Config, m: ModelBuilder) -> None:
    """Nemotron 3.5 Transcribe."""
    sound = hear(c, m, "model.audio_tower", "audio_config", component="audio")
    text = language(c, m)
    width = sound.sub("asr_config").hidden
    m.single(
        "projector",
        lambda t: t.linear(
            "model.multi_modal_projector", t.input(width, Axis.SOURCE), text.hidden, bias=True
        ),
    )
    times = hear(c, m, "model.word_timestamp_encoder", "word_timestamp_config", component="audio")
    m.head("lm_head", m.hidden_size, text.vocab, tied=False)

    def times_head(t: Trace) -> Tensor:
        x = t.input(times.hidden, Axis.SOURCE)
        return t.convolution("word_timestamp_head", x, times.vocab, kernel=(1,))

    m.single("audio", times_head)
