"""VibeVoice (arXiv 2508.19205): Qwen 2 hears latents of sound and a diffusion head makes the next ones.

What makes sound has rows of its own, as in `omni_voices.py`.
"""

from functools import partial

from ..blocks.feed_forward import gated
from ..blocks.vision import held
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Role, Tensor
from ..trace import Trace
from .composite import language, logits, project, see, tower
from .florence import stages
from .llama import activation
from .registry import family
from .seamless import conv_block, vibe_encoder

CHUNKS = 3  # what each layer takes from the step: shift, scale and gate


def vibe_decoder(c: Config, m: ModelBuilder) -> None:
    """The tokenizer's other half: stages of transposed convolutions, each finer and half as wide."""
    depths, last = list(reversed(stages(c, "depths"))), c.size("num_filters")
    ratios = list(reversed(stages(c, "downsampling_ratios", len(depths) - 1))) if len(depths) > 1 else []
    kernel, block = c.size("kernel_size"), partial(conv_block, c=c)

    def step(name: str, fan_in: int, out: int) -> None:
        m.single("talker", lambda t: t.convolution(name, t.input(fan_in, Axis.SPOKEN), out, kernel=(kernel,)))

    def finer(t: Trace, fan_in: int, ratio: int) -> Tensor:
        t.hold(t.parameter("weight", (fan_in, fan_in // 2, 2 * ratio), Role.CONVOLUTION))
        t.hold(t.parameter("bias", (fan_in // 2,), Role.BIAS))
        return t.elementwise("upsample", t.input(fan_in, Axis.SPOKEN), width=fan_in // 2)

    width = last << len(ratios)
    step("stem.conv.conv", c.hidden, width)
    m.stack(depths[0], block, width=width, name="stem.stage.{}", axis=Axis.SPOKEN)
    for i, ratio in enumerate(ratios):
        at = f"conv_layers.{i}"
        m.single("talker", partial(finer, fan_in=width, ratio=ratio), name=f"{at}.convtr.convtr")
        width //= 2
        m.stack(depths[i + 1], block, width=width, name=f"{at}.stage.{{}}", axis=Axis.SPOKEN)
    step("head.conv", last, c.size("channels"))


@tower("vibevoice_acoustic_tokenizer")
def tokenizer(c: Config, m: ModelBuilder) -> None:
    """Sound to latents and back."""
    with m.prefix("encoder"):
        vibe_encoder(c, m)
    with m.component("talker"), m.prefix("decoder"):
        vibe_decoder(c, m)


def diffusion(c: Config, m: ModelBuilder, width: int, latent: int) -> None:
    """Feed-forward layers that take noise to a latent, told the step and what the text model thought."""
    mlp = partial(gated, inner=c.inner, module="ffn", activation=activation(c), bias=c.flag("mlp_bias"))

    def enter(t: Trace) -> Tensor:
        x = t.linear("noisy_images_proj", t.input(latent, Axis.SPOKEN), width)
        seen = t.linear("cond_proj", t.input(width, Axis.SPOKEN), width)
        time = t.linear("timestep_proj.fc1", t.input(c.size("frequency_embedding_size"), Axis.SPOKEN), width)
        step = t.linear("timestep_proj.fc2", t.elementwise(activation(c), time), width)
        return t.add(x, t.add(seen, step))

    def layer(t: Trace, x: Tensor) -> Tensor:
        told = t.linear("linear", t.input(width, Axis.SPOKEN), CHUNKS * width)
        return t.add(
            x, t.multiply(mlp(t, t.elementwise("scale", t.norm("norm", x))), t.split(told, width)[0])
        )

    def leave(t: Trace) -> Tensor:
        t.linear("linear_1", t.input(width, Axis.SPOKEN), 2 * width)
        return t.linear("linear_2", t.norm("", t.input(width, Axis.SPOKEN), style="rms_plain"), latent)

    m.single("talker", enter)
    m.stack(c.layers, layer, width=width, axis=Axis.SPOKEN)
    m.single("talker", leave, name="final_layer")


@family("vibevoice")
def vibevoice(c: Config, m: ModelBuilder) -> None:
    """Two tokenizers, of sound and of meaning; the diffusion head is as wide as the text model."""
    sound = see(c, m, "model.audio_tower", "audio_config", component="audio")
    text = language(c, m)
    meaning = see(c, m, "model.semantic_tokenizer_encoder", "semantic_model_config", component="audio")
    for name, width in (("multi_modal_projector", sound.hidden), ("semantic_connector", meaning.hidden)):
        project(m, f"model.{name}", partial(connect, width=width, out=text.hidden))
    for name in ("scaling", "bias"):
        m.single("projector", lambda t, name=name: held(t, f"model.latent_{name}_factor"))  # type: ignore[misc]
    with m.component("talker"), m.prefix("model.diffusion_head"):
        diffusion(c.sub("diffusion_head_config"), m, text.hidden, sound.hidden)
    logits(c, m, text, tied=text.tied)


def connect(t: Trace, width: int, out: int) -> Tensor:
    """Two layers with a norm between them."""
    x = t.linear("linear_1", t.input(width, Axis.IMAGE_TOKENS), out, bias=True)
    return t.linear("linear_2", t.norm("act", x), out, bias=True)
