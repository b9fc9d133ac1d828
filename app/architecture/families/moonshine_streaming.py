"""Moonshine, streaming: frames of the wave itself, causal convolutions, windows that look a little ahead."""

from functools import partial

from ..blocks.attention import Heads, grouped
from ..blocks.cross import cross_attention
from ..blocks.encoder_decoder import halves
from ..blocks.feed_forward import fused_gated, plain
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Role, Tensor
from ..trace import Trace
from .llama import activation
from .registry import family
from .whisper import NAMES


def scaled_norm(t: Trace, name: str, x: Tensor) -> Tensor:
    """A LayerNorm without weights, then a learned factor for each channel."""
    normed = t.norm(f"{name}.ln", x, style="layer_plain")
    t.hold(t.parameter(f"{name}.gamma", (x.width,), Role.NORM))
    return t.elementwise("weigh", normed)


def encoder(c: Config, m: ModelBuilder) -> None:
    """Frames, two convolutions that halve them, layers with windows of their own."""
    frame = round(c.size("sample_rate") * c.number("frame_ms") / 1000)
    if frame < 1:
        raise c.wrong("frame_ms", "config_out_of_range", value=frame, least=1, most=1 << 20)
    shape, bias = Heads.of(c, rotary_dim=0, causal=False, cached=False), c.flag("attention_bias")
    mlp = partial(plain, inner=c.inner, names=("fc1", "fc2"), activation=activation(c))

    def embed(t: Trace) -> Tensor:
        t.hold(t.parameter("comp.log_k", ()))
        x = t.elementwise("asinh", t.input(frame, Axis.SOURCE))
        x = t.elementwise("silu", t.linear("linear", x, c.hidden))
        x = t.elementwise("silu", t.convolution("conv1", x, 2 * c.hidden, kernel=(5,)))
        return t.convolution("conv2", x, c.hidden, kernel=(5,))

    def layer(t: Trace, x: Tensor) -> Tensor:
        x = t.add(x, grouped(t, scaled_norm(t, "input_layernorm", x), shape, bias=bias))
        return t.add(x, mlp(t, scaled_norm(t, "post_attention_layernorm", x)))

    m.single("encoder", embed, name="embedder")
    m.stack(c.layers, layer, width=c.hidden, axis=Axis.SOURCE)
    m.single("encoder", lambda t: scaled_norm(t, "final_norm", t.input(c.hidden, Axis.SOURCE)))


def decoder(c: Config, m: ModelBuilder, source: int) -> None:
    """Moonshine's decoder; positions are added to the encoder's rows, which are made as wide as its own."""
    shape, bias = Heads.of(c), c.flag("attention_bias")
    parts = (
        ("input_layernorm", partial(grouped, shape=shape, bias=bias, out_bias=False)),
        (
            "post_attention_layernorm",
            partial(cross_attention, shape=shape, names=NAMES, bias=bias, out_bias=False),
        ),
        (
            "final_layernorm",
            partial(fused_gated, inner=c.inner, names=("fc1", "fc2"), bias=True, activation=activation(c)),
        ),
    )

    def place(t: Trace) -> Tensor:
        rows = c.size("max_position_embeddings")
        x = t.add(t.input(source, Axis.SOURCE), t.embedding("pos_emb", rows, source, axis=Axis.SEQUENCE))
        return x if source == c.hidden else t.linear("proj", x, c.hidden)

    m.single("projector", place)
    m.embed("embed_tokens", c.vocab, c.hidden)
    m.stack(c.layers, lambda t, x: halves(t, x, parts, pre=True, style="layer_wide"), width=c.hidden)
    m.final_norm("norm", c.hidden, style="layer_wide")


@family("moonshine_streaming")
def moonshine_streaming(c: Config, m: ModelBuilder) -> None:
    """Moonshine, streaming."""
    sound = c.sub("encoder_config")
    m.notes["kind"] = "encoder_decoder"
    with m.component("encoder"), m.prefix("model.encoder"):
        encoder(sound, m)
    with m.prefix("model.decoder"):
        decoder(c, m, sound.hidden)
    m.head("proj_out", c.hidden, c.vocab, tied=c.tied)
