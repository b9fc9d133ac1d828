"""Qwen3-Omni whole (arXiv 2509.17765): the thinker, a talker with experts, its code predictor, and the sound.

As in `omni_voices.py`, what speaks has rows of its own.
"""

from functools import partial

from ..blocks.attention import Heads, grouped
from ..blocks.feed_forward import gated
from ..blocks.residual import branch
from ..blocks.vision import scaled
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Role, Tensor
from ..trace import Trace
from .florence import stages
from .llama import activation
from .mixtures import layers
from .omni import write_thinker
from .omni_voices import spoken
from .qwen import qwen3
from .qwen_moe import shared_experts
from .registry import family

UNITS = 3  # of each stage of the decoder


def resized(t: Trace, x: Tensor, c: Config, text: Config) -> Tensor:
    """Two layers from the thinker's width to the talker's."""
    inner = t.elementwise(activation(text), t.linear("linear_fc1", x, text.inner, bias=True))
    return t.linear("linear_fc2", inner, text.hidden, bias=True)


def talker(c: Config, m: ModelBuilder) -> None:
    """Experts beside a shared one in every layer, over the first code of each frame."""
    text, wide = c.sub("text_config"), c.size("thinker_hidden_size")
    stack = ModelBuilder()
    with stack.component("talker"), stack.prefix("talker.model"):
        attention = partial(grouped, shape=Heads.of(text), bias=text.flag("attention_bias"), qk_norm="head")
        mixture = shared_experts(text)
        layers(text, stack, lambda kind: attention, lambda kind: mixture, embed="codec_embedding")
    m.sections += stack.sections
    for name in ("text_projection", "hidden_projection"):
        m.single("talker", lambda t: resized(t, t.input(wide), c, text), name=name)
    m.head("codec_head", text.hidden, text.vocab, tied=c.tied, adapted=True)


def predictor(c: Config, m: ModelBuilder) -> None:
    """The other codes of a frame, one after the other; each has a table and a head of its own."""
    stack, others = ModelBuilder(), c.count("num_code_groups") - 1
    with stack.component("talker"), stack.prefix("talker.code_predictor.model"):
        qwen3(c, stack)
        for i in range(others):
            stack.single("talker", lambda t, i=i: t.embedding(f"codec_embedding.{i}", c.vocab, c.hidden))  # type: ignore[misc]
    m.sections += stack.sections[1:]
    for i in range(others):
        m.head(f"code_predictor.lm_head.{i}", c.hidden, c.vocab, tied=False, adapted=True)


def causal(t: Trace, name: str, x: Tensor, out: int, kernel: int, *, groups: int = 1) -> Tensor:
    """A convolution over the frames before."""
    return t.convolution(f"{name}.conv", x, out, kernel=(kernel,), groups=groups)


def finer(t: Trace, name: str, x: Tensor, out: int, kernel: int) -> Tensor:
    """A transposed convolution: a finer grid, of which only the widths are described."""
    with t.scope(f"{name}.conv"):
        t.hold(t.parameter("weight", (x.width, out, kernel), Role.CONVOLUTION))
        t.hold(t.parameter("bias", (out,), Role.BIAS))
    return t.elementwise("upsample", x, width=out)


def snake(t: Trace, name: str, x: Tensor) -> Tensor:
    """x + sin^2(a x) / b for every channel."""
    t.hold(*(t.parameter(f"{name}.{part}", (x.width,)) for part in ("alpha", "beta")))
    return t.elementwise("snake", x)


def before(c: Config, m: ModelBuilder) -> None:
    """Layers in windows over the summed codes, then frames made finer."""
    width, shape = c.hidden, Heads.of(c, window=c.maybe("sliding_window"), cached=False)

    def layer(t: Trace, x: Tensor) -> Tensor:
        mixed = grouped(t, t.norm("input_layernorm", x), shape, bias=c.flag("attention_bias"))
        x = t.add(x, branch(t, scaled(t, mixed, "self_attn_layer_scale.scale")))
        fed = gated(t, t.norm("post_attention_layernorm", x), c.inner, activation=activation(c))
        return t.add(x, scaled(t, fed, "mlp_layer_scale.scale"))

    def mixed(t: Trace, factor: int) -> Tensor:
        x = finer(t, "0", t.input(width), width, factor)
        with t.scope("1"):
            h = t.norm("norm", causal(t, "dwconv", x, width, 7, groups=width), style="layer")
            h = t.elementwise("gelu", t.linear("pwconv1", h, 4 * width, bias=True))
            return t.add(x, scaled(t, t.linear("pwconv2", h, width, bias=True), "gamma"))

    rows = c.size("codebook_size") * c.size("num_quantizers")
    m.single("talker", lambda t: t.embedding("code_embedding", rows, width))
    with m.prefix("pre_transformer"):
        m.stack(c.layers, layer, width=width)
        m.final_norm("norm", width)
    for i, factor in enumerate(stages(c, "upsampling_ratios")):
        m.single("talker", lambda t, factor=factor: mixed(t, factor), name=f"upsample.{i}")  # type: ignore[misc]


def sound(c: Config, m: ModelBuilder) -> None:
    """Stages that halve the width and make the grid finer, each with three units of convolutions."""
    first, rates = c.size("decoder_dim"), stages(c, "upsample_rates")
    if first >> len(rates) < 1:
        least = 2 ** len(rates)
        raise c.wrong("decoder_dim", "config_out_of_range", value=first, least=least, most=2**20)

    def stage(t: Trace, i: int) -> Tensor:
        out = first >> (i + 1)
        x = finer(t, "1", snake(t, "0", t.input(first >> i)), out, 2 * rates[i])
        for unit in range(2, 2 + UNITS):
            with t.scope(str(unit)):
                h = causal(t, "conv1", snake(t, "act1", x), out, 7)
                x = t.add(x, causal(t, "conv2", snake(t, "act2", h), out, 1))
        return x

    def leave(t: Trace) -> Tensor:
        x = snake(t, str(len(rates) + 1), t.input(first >> len(rates)))
        return causal(t, str(len(rates) + 2), x, 1, 7)

    with m.prefix("decoder"):
        m.single("talker", lambda t: causal(t, "0", t.input(c.hidden), first, 7))
        for i in range(len(rates)):
            m.single("talker", lambda t, i=i: stage(t, i), name=f"{i + 1}.block")  # type: ignore[misc]
        m.single("talker", leave)


@family("qwen3_omni_moe")
def qwen3_omni_moe(c: Config, m: ModelBuilder) -> None:
    """The thinker answers; talker, code predictor and decoder stand beside it unless switched off."""
    with m.prefix("thinker"):
        write_thinker(c.sub("thinker_config"), m, adapted=True)
    if not c.flag("enable_audio_output", True):
        return
    voice, speaks = ModelBuilder(), c.sub("talker_config")
    with voice.component("talker"):
        with voice.prefix("talker"):
            talker(speaks, voice)
            predictor(speaks.sub("code_predictor_config"), voice)
        with voice.prefix("code2wav"):
            before(c.sub("code2wav_config"), voice)
            sound(c.sub("code2wav_config"), voice)
    m.sections += [spoken(section) for section in voice.sections]
