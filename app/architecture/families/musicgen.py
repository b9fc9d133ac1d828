"""MusicGen (arXiv 2306.05284): T5 reads words, a decoder makes several codes a frame, EnCodec the sound."""

from functools import partial
from math import ceil, prod

from msgspec.structs import replace

from ..blocks.attention import Heads, grouped
from ..blocks.cross import cross_attention
from ..blocks.encoder_decoder import halves
from ..blocks.feed_forward import plain
from ..blocks.vision import held
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, KeyValueCache, Role, Tensor
from ..spans import Behind, Between
from ..trace import Trace
from .composite import see, tower
from .florence import stages
from .registry import family
from .t5 import t5_encoder

NAMES = ("q_proj", "k_proj", "v_proj", "out_proj")
GATES = 4  # of a long short-term memory


def numbered(t: Trace, name: str, shape: tuple[int, ...], out: int, *, weighed: bool) -> None:
    """A convolution's weights, of which `weighed` ones are kept as lengths and directions."""
    with t.scope(f"{name}.conv"):
        if weighed:
            held(t, "parametrizations.weight.original0", shape[0], 1, 1)
            held(t, "parametrizations.weight.original1", *shape)
        else:
            t.hold(t.parameter("weight", shape, Role.CONVOLUTION))
        t.hold(t.parameter("bias", (out,), Role.BIAS))
    if not weighed:
        t.hold(*(t.parameter(f"{name}.norm.{part}", (out,), Role.NORM) for part in ("weight", "bias")))


class Codec:
    """EnCodec's layers (arXiv 2210.13438), numbered as they stand, those without weights too.

    Of the sound's finer and finer grid only the widths are described.
    """

    def __init__(self, c: Config, t: Trace) -> None:
        self.config, self.trace, self.place = c, t, 0
        kind = c.text("norm_type", "weight_norm")
        if kind not in ("weight_norm", "time_group_norm"):
            raise c.wrong("norm_type", "config_unknown_value", value=kind[:40])
        self.convolve = partial(numbered, t, weighed=kind == "weight_norm")

    def step(self, fan_in: int, out: int, kernel: int, *, finer: bool = False) -> None:
        """One convolution; `finer`: a transposed one."""
        shape = (fan_in, out, kernel) if finer else (out, fan_in, kernel)
        self.convolve(f"layers.{self.place}", shape, out)
        self.place += 1

    def unit(self, width: int) -> None:
        """Two convolutions through a narrower middle beside a shortcut."""
        narrow, at = max(1, width // self.config.size("compress", 2)), f"layers.{self.place}"
        self.convolve(f"{at}.block.1", (narrow, width, self.config.size("residual_kernel_size")), narrow)
        self.convolve(f"{at}.block.3", (width, narrow, 1), width)
        if self.config.flag("use_conv_shortcut", True):
            self.convolve(f"{at}.shortcut", (width, width, 1), width)
        self.place += 1

    def units(self, width: int) -> None:
        """As many as the configuration has between two grids."""
        for _ in range(self.config.count("num_residual_layers", 1, least=0)):
            self.unit(width)

    def memory(self, width: int) -> None:
        """Layers of long short-term memory."""
        t = self.trace
        with t.scope(f"layers.{self.place}.lstm"):
            for layer in range(self.config.count("num_lstm_layers", 2, least=0)):
                for part in ("ih", "hh"):
                    t.hold(t.parameter(f"weight_{part}_l{layer}", (GATES * width, width)))
                    t.hold(t.parameter(f"bias_{part}_l{layer}", (GATES * width,), Role.BIAS))
        self.place += 1


def to_codes(t: Trace, c: Config) -> None:
    """Sound to latents."""
    codec, width = Codec(c, t), c.size("num_filters")
    codec.step(c.size("audio_channels", 1), width, c.size("kernel_size"))
    for ratio in reversed(stages(c, "upsampling_ratios")):
        codec.units(width)
        codec.place += 1  # an activation
        codec.step(width, 2 * width, 2 * ratio)
        width *= 2
    codec.memory(width)
    codec.place += 1
    codec.step(width, c.hidden, c.size("last_kernel_size"))


def to_sound(t: Trace, c: Config) -> None:
    """Latents to sound."""
    ratios = stages(c, "upsampling_ratios")
    codec, width = Codec(c, t), c.size("num_filters") << len(ratios)
    codec.step(c.hidden, width, c.size("kernel_size"))
    codec.memory(width)
    for ratio in ratios:
        codec.place += 1
        codec.step(width, width // 2, 2 * ratio, finer=True)
        width //= 2
        codec.units(width)
    codec.place += 1
    codec.step(width, c.size("audio_channels", 1), c.size("last_kernel_size"))


@tower("encodec")
def encodec(c: Config, m: ModelBuilder) -> None:
    """EnCodec: an encoder, code books for the remainders of those before, a decoder."""
    ratios, bands = (
        stages(c, "upsampling_ratios"),
        c.items("target_bandwidths") or [1.5, 3.0, 6.0, 12.0, 24.0],
    )
    if not isinstance(bands[-1], int | float) or not 0 < bands[-1] < 2**20:
        raise c.wrong("target_bandwidths", "config_not_number", value=str(bands[-1])[:40])
    frames = ceil(c.size("sampling_rate", 24000) / prod(ratios))
    books, rows = int(1000 * bands[-1] // (frames * 10)), c.size("codebook_size")
    dim = c.maybe("codebook_dim") or c.hidden

    def book(t: Trace, x: Tensor) -> Tensor:
        parts = {"inited": (1,), "cluster_size": (rows,), "embed": (rows, dim), "embed_avg": (rows, dim)}
        t.hold(*(t.parameter(f"codebook.{name}", shape, buffer=True) for name, shape in parts.items()))
        return x

    m.single("audio", lambda t: to_codes(t, c), name="encoder")
    m.stack(books, book, width=c.hidden, name="quantizer.layers.{}", axis=Axis.SPOKEN)
    m.single("audio", lambda t: to_sound(t, c), name="decoder")


def decoder(c: Config, m: ModelBuilder, *, before: int | None) -> None:
    """Layers without biases over the sum of a frame's codes, each code book with a table and a head.

    `before`: how many frames of melody stand in front of the codes, behind the words [words are attended to].
    """
    width, books, heads = c.hidden, c.count("num_codebooks"), c.size("num_attention_heads")
    if width % heads:
        raise c.wrong("num_attention_heads", "config_not_divisible", value=heads, of=width)
    drop = c.number("attention_dropout", 0.0)
    shape = Heads(heads, heads, width // heads, rotary_dim=0, dropout=drop)
    span = None if before is None else Behind(before)
    if before is not None:
        kept = KeyValueCache(heads, width // heads, width // heads, prompt=before, behind=True)
        shape = replace(shape, kept=kept, pattern=Between(Behind(before), Behind(before)))
    feed = partial(
        plain, inner=c.size("ffn_dim"), module="", names=("fc1", "fc2"), bias=False,
        activation=c.text("activation_function", "gelu"), inner_dropout=c.number("activation_dropout", 0.0),
    )  # fmt: skip
    parts = [
        ("self_attn_layer_norm", partial(grouped, shape=shape, names=NAMES)),
        ("encoder_attn_layer_norm", partial(cross_attention, shape=shape, names=NAMES)),
        ("final_layer_norm", feed),
    ]
    own = parts if before is None else [parts[0], parts[2]]

    def embed(t: Trace) -> Tensor:
        x = t.embedding("embed_tokens.0", c.vocab + 1, width)
        for i in range(1, books):
            x = t.add(x, t.embedding(f"embed_tokens.{i}", c.vocab + 1, width))
        return t.add(x, t.input(width, Axis.SEQUENCE))

    def layer(t: Trace, x: Tensor) -> Tensor:
        with t.spanned(span):
            return halves(t, x, own, pre=True, dropout=c.number("dropout", 0.0))

    def logits(t: Trace) -> Tensor:
        x = t.input(width)
        with t.spanned(span):
            made = (t.linear(f"lm_heads.{i}", x, c.vocab, role=Role.HEAD, head=False) for i in range(books))
            return t.concat(*made)

    m.hidden_size, m.vocab_size = width, c.vocab
    with m.prefix("model.decoder"):
        m.single("embedding", embed)
        m.stack(c.count("num_hidden_layers"), layer, width=width)
        m.final_norm("layer_norm", width, style="layer")
    m.single("head", logits)


@family("musicgen", "musicgen_melody")
def musicgen(c: Config, m: ModelBuilder) -> None:
    """MusicGen attends to the words; its melody version has them, and the melody, in front of the codes."""
    text, melody = c.sub("text_encoder"), c.model_type == "musicgen_melody"
    if text.model_type != "t5":
        raise text.uncovered("model_type", "its encoder of words is not described here")
    with m.component("encoder"), m.prefix("text_encoder"):
        t5_encoder(text, m)
    wide, made = text.size("d_model"), c.sub("decoder")
    see(c, m, "audio_encoder", "audio_encoder", component="audio")
    with m.prefix("decoder"):
        decoder(made, m, before=c.size("chroma_length") if melody else None)
    if wide != made.hidden and (melody or made.get("cross_attention_hidden_size") is None):
        m.single("projector", lambda t: joined(t, "enc_to_dec_proj", wide, made.hidden, Axis.SOURCE))
    if melody and (chroma := c.size("num_chroma")) != made.hidden:
        name = "audio_enc_to_dec_proj"
        m.single("projector", lambda t: joined(t, name, chroma, made.hidden, Axis.BATCH))
    m.notes["kind"] = "encoder_decoder"


def joined(t: Trace, name: str, width: int, out: int, axis: Axis) -> Tensor:
    """To the decoder's width."""
    return t.linear(name, t.input(width, axis), out, bias=True)
