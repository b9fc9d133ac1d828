"""DiffusionGemma: Gemma 4's layers read the prompt once and then refine a canvas of tokens, step by step."""

from typing import TypeVar

from msgspec.structs import replace

from ..blocks.feed_forward import gated
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Attention, Axis, Operation, Parameter, Role, Tensor
from ..sections import Section
from ..spans import Remembered
from ..trace import Trace
from .composite import language, see
from .gemma3n import STYLE
from .gemma4 import layers_of, stack
from .gemma_vision import to_text
from .registry import body, family, softcap

Kind = TypeVar("Kind", bound=Operation)


@body("diffusion_gemma_text")
def diffusion_gemma_text(c: Config, m: ModelBuilder) -> None:
    """Gemma 4 with experts; the keys of global layers serve as values."""
    view = Config({**c.data, "attention_k_eq_v": True}, c.model_type, c.path)
    stack(view, m, layers_of(view), sparse=True)


def on_canvas(section: Section, ties: bool) -> Section:
    """The same layer over the canvas: its own tokens both ways and the prompt's; it keeps none of these."""
    found = [on_source(op, ties) for op in section.block.operations]
    operations: list[Operation] = []
    for op in found:
        if isinstance(op, Attention):
            seen = replace(op, causal=False, cache=None)
            kept = Remembered(op.window) if op.window else None
            operations += [seen, replace(seen, causal=True, pattern=kept)]
        else:
            operations.append(op)
    return replace(section, block=replace(section.block, operations=tuple(operations)))


def on_source(op: Kind, ties: bool) -> Kind:
    """The operation with canvas rows for token rows; its weights, where tied, are the prompt side's."""

    def moved(x: Tensor) -> Tensor:
        return replace(x, axis=Axis.SOURCE) if x.axis is Axis.TOKENS else x

    def shared(p: Parameter) -> Parameter:
        return replace(p, tied=ties and not p.buffer and p.role is not Role.BIAS)  # biases are never shared

    return replace(
        op,
        inputs=tuple(map(moved, op.inputs)),
        outputs=tuple(map(moved, op.outputs)),
        parameters=tuple(map(shared, op.parameters)),
    )


def conditioning(t: Trace, c: Config) -> Tensor:
    """What the step before thought of the canvas, added to its embeddings."""
    x = t.norm("pre_norm", t.input(c.hidden, Axis.SOURCE), style=STYLE)
    made = gated(t, x, c.inner, module="", activation=c.text("hidden_activation"))
    return t.norm("post_norm", t.add(t.input(c.hidden, Axis.SOURCE), made), style="rms_plain")


@family("diffusion_gemma")
def diffusion_gemma(c: Config, m: ModelBuilder) -> None:
    """Unless `tie_word_embeddings` is off, both sides and the head share their weights."""
    text = language(c, m, "model.encoder.language_model")
    vision = see(c, m, "model.encoder.vision_tower")
    width = vision.size("output_proj_dims", vision.hidden)
    to_text(m, "model.encoder.embed_vision", width, text, Axis.IMAGE_TOKENS)
    canvas = ModelBuilder()
    with canvas.component("denoiser"), canvas.prefix("model.decoder"):
        diffusion_gemma_text(text, canvas)
    m.sections += [on_canvas(section, c.tied) for section in canvas.sections]
    with m.component("denoiser"):
        m.single("denoiser", lambda t: conditioning(t, text), name="model.decoder.self_conditioning")
    m.head(
        "lm_head", text.hidden, text.vocab, tied=c.tied, after=softcap(text),
        before=lambda t: t.input(text.hidden, Axis.SOURCE),
    )  # fmt: skip
    m.notes["source"] = c.size("canvas_length", 256)
