"""Speech models with encoders of their own: Granite Speech, Voxtral Realtime, Qwen3-ASR."""

from functools import partial

from ..blocks.attention import Heads, attend, grouped
from ..blocks.feed_forward import gated
from ..blocks.residual import pre_norm
from ..blocks.vision import held
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace, column, row
from .composite import language, logits, project, see, tower
from .llama import activation
from .registry import body, family, scaled
from .whisper import stem


def feed_forward(t: Trace, x: Tensor, module: str, inner: int) -> Tensor:
    """Half a feed-forward block, its norm inside."""
    with t.scope(module):
        h = t.elementwise("silu", t.linear("up_proj", t.norm("pre_norm", x, style="layer"), inner, bias=True))
        return t.elementwise("scale", t.linear("down_proj", h, x.width, bias=True))


def shaw_attention(t: Trace, x: Tensor, shape: Heads, reach: int) -> Tensor:
    """Attention in blocks with Shaw's relative positions (arXiv 1803.02155)."""
    width = shape.query_width
    with t.scope("attn"):
        normed = t.norm("pre_norm", x, style="layer")
        q = t.linear("to_q", normed, width, split=column(shape.heads))
        k, v = t.split(t.linear("to_kv", normed, 2 * width), width, width, kind="chunk")
        held(t, "rel_pos_emb.weight", 2 * reach + 1, shape.head_dim)
        return t.linear("to_out", attend(t, q, k, v, shape), x.width, bias=True, split=row(shape.heads))


def batch_norm(t: Trace, name: str, x: Tensor, channels: int | None = None) -> Tensor:
    """A BatchNorm with the statistics it keeps, of `channels` [the whole row]."""
    width = channels or x.width
    with t.scope(name):
        t.hold(
            *(t.parameter(part, (width,), buffer=True) for part in ("running_mean", "running_var")),
            t.parameter("num_batches_tracked", (), buffer=True, dtype="int64"),
        )
    return t.norm(name, x, style="layer", width=width)


def conformer_convolution(t: Trace, x: Tensor, inner: int, kernel: int) -> Tensor:
    """A gated pointwise convolution, a depthwise one, a norm over the batch (arXiv 2005.08100)."""
    with t.scope("conv"):
        h = t.convolution("up_conv", t.norm("norm", x, style="layer"), 2 * inner, kernel=(1,))
        h = t.elementwise("glu", h, width=inner)
        h = t.convolution("depth_conv.conv", h, inner, kernel=(kernel,), groups=inner, bias=False)
        h = t.elementwise("silu", batch_norm(t, "batch_norm", h))
        return t.convolution("down_conv", h, x.width, kernel=(1,))


@tower("granite_speech_encoder", "granite_speech_plus_encoder")
def granite_encoder(c: Config, m: ModelBuilder) -> None:
    """Granite Speech's conformer (arXiv 2505.08699), with a letter head in its middle."""
    width, out, heads = c.size("hidden_dim"), c.size("output_dim"), c.size("num_heads")
    shape = Heads(heads, heads, c.size("dim_head", width // heads), rotary_dim=0, causal=False, cached=False)
    inner = width * c.size("feedforward_mult")

    def layer(t: Trace, x: Tensor) -> Tensor:
        x = t.add(x, feed_forward(t, x, "ff1", inner))
        x = t.add(x, shaw_attention(t, x, shape, c.size("max_pos_emb")))
        x = t.add(
            x,
            conformer_convolution(t, x, width * c.size("conv_expansion_factor"), c.size("conv_kernel_size")),
        )
        x = t.add(x, feed_forward(t, x, "ff2", inner))
        return t.norm("post_norm", x, style="layer")

    def letters(t: Trace) -> Tensor:
        logits = t.linear("out", t.input(width, Axis.SOURCE), out, bias=True)
        return t.linear("out_mid", t.elementwise("softmax", logits), width, bias=True)

    m.single(
        "audio",
        lambda t: t.linear("input_linear", t.input(c.size("input_dim"), Axis.SOURCE), width, bias=True),
    )
    m.stack(c.count("num_layers"), layer, width=width, axis=Axis.SOURCE)
    m.single("audio", letters)


@family("granite_speech", "granite_speech_plus")
def granite_speech(c: Config, m: ModelBuilder) -> None:
    """A conformer, a Q-Former over windows of it, Granite."""
    see(c, m, "model.encoder", "encoder_config", component="audio")
    former, rate = c.sub("projector_config"), c.size("downsample_rate")
    queries = c.size("window_size") // rate
    m.single("projector", lambda t: held(t, "model.projector.query", 1, queries, former.hidden))
    see(c, m, "model.projector.qformer", "projector_config", component="projector")
    text = c.sub("text_config")
    m.single(
        "projector",
        lambda t: t.linear(
            "model.projector.linear", t.input(former.hidden, Axis.IMAGE_TOKENS), text.hidden, bias=True
        ),
    )
    language(c, m)
    logits(c, m, text, after=scaled(text))


@tower("voxtral_realtime_encoder")
def realtime_encoder(c: Config, m: ModelBuilder) -> None:
    """Voxtral Realtime's causal encoder: rotary positions and windows."""
    heads = c.heads
    shape = Heads(heads, heads, c.head_dim, window=c.maybe("sliding_window"), cached=False)

    def attention(t: Trace, x: Tensor) -> Tensor:
        return grouped(t, x, shape, bias=True, key_bias=False)

    def mlp(t: Trace, x: Tensor) -> Tensor:
        with t.scope("mlp"):
            gate = t.elementwise(activation(c), t.linear("gate_proj", x, c.inner))
            return t.linear(
                "down_proj", t.multiply(gate, t.linear("up_proj", x, c.inner)), c.hidden, bias=True
            )

    m.single("audio", lambda t: stem(c, t, c.hidden), name="embedder")
    m.stack(
        c.layers,
        lambda t, x: pre_norm(t, x, attention, mlp, names=("self_attn_layer_norm", "final_layer_norm")),
        width=c.hidden,
        axis=Axis.SOURCE,
    )
    m.single("norm", lambda t: t.norm("norm", t.input(c.hidden, Axis.SOURCE)))


@body("voxtral_realtime_text")
def realtime_text(c: Config, m: ModelBuilder) -> None:
    """Mistral whose second norm is scaled by the delay that is asked for."""
    shape = Heads.of(c, window=c.maybe("sliding_window"))

    def layer(t: Trace, x: Tensor) -> Tensor:
        delay = t.input(x.width, Axis.BATCH)
        with t.scope("ada_rms_norm"):
            t.linear("linear2", t.elementwise("gelu", t.linear("linear1", delay, 32)), x.width)
        return pre_norm(
            t, x, partial(grouped, shape=shape), partial(gated, inner=c.inner, activation=activation(c))
        )

    m.embed("embed_tokens", c.vocab, c.hidden)
    m.stack(c.layers, layer, width=c.hidden)
    m.final_norm("norm", c.hidden)


@family("voxtral_realtime")
def voxtral_realtime(c: Config, m: ModelBuilder) -> None:
    """Four positions put together, then two linear layers."""
    audio = see(c, m, "model.audio_tower", "audio_config", component="audio")
    text = language(c, m)
    wide = audio.hidden * c.size("downsample_factor", 4)

    def write(t: Trace) -> Tensor:
        x = t.linear("linear_1", t.input(wide, Axis.IMAGE_TOKENS), text.hidden)
        return t.linear("linear_2", t.elementwise(c.text("projector_hidden_act", "gelu"), x), text.hidden)

    project(m, "model.multi_modal_projector", write)
    logits(c, m, text)
