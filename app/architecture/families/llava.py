"""LLaVA and the models that join a tower and a language model with a small projector."""

from ..blocks.vision import held, merged, two_layers
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis
from ..trace import Trace
from .composite import language, logits, project, see
from .registry import family

LINEARS = ("linear_1", "linear_2")


def layers_taken(c: Config) -> int:
    """How many of the tower's layers are read side by side."""
    value = c.get("vision_feature_layer", -1)
    return max(1, len(value)) if isinstance(value, list | tuple) else 1


def projector(
    c: Config,
    m: ModelBuilder,
    vision: Config,
    text: Config,
    *,
    name: str = "model.multi_modal_projector",
    norm: str | None = None,
    factor: int = 1,
) -> None:
    """Two linear layers, where there is one a norm before them; `factor` patches make one token."""
    width = vision.hidden * layers_taken(c)

    def write(t: Trace) -> None:
        x = merged(t, t.input(width, Axis.PATCHES), factor)
        if norm:
            x = t.norm(norm, x, style="layer")
        act = c.text("projector_hidden_act", "gelu")
        two_layers(
            t, x, LINEARS, text.hidden, text.hidden, act, bias=c.flag("multimodal_projector_bias", True)
        )

    project(m, name, write)


def newline(m: ModelBuilder, text: Config) -> None:
    """The learned token that ends each row of a picture."""
    m.single("projector", lambda t: held(t, "model.image_newline", text.hidden))


@family("llava", "llava_next", "llava_next_video", "llava_onevision")
def llava(c: Config, m: ModelBuilder) -> None:
    """LLaVA 1.5, NeXT and OneVision (arXiv 2310.03744, 2408.03326)."""
    vision = see(c, m, "model.vision_tower")
    text = language(c, m)
    projector(c, m, vision, text)
    if c.model_type != "llava":
        newline(m, text)
    forwards = c.model_type != "llava_next"
    logits(c, m, text, tied=c.tied or (forwards and text.flag("tie_word_embeddings")))


@family("internvl")
def internvl(c: Config, m: ModelBuilder) -> None:
    """InternVL 3 (arXiv 2504.10479): four patches a token."""
    vision = see(c, m, "model.vision_tower")
    text = language(c, m)
    factor = int(1 / c.number("downsample_ratio", 0.5))
    projector(c, m, vision, text, norm="layer_norm", factor=factor * factor)
    logits(c, m, text)


@family("mistral3")
def mistral3(c: Config, m: ModelBuilder) -> None:
    """Mistral Small 3.1 and its successors: Pixtral's patches merged by a linear layer."""
    vision = see(c, m, "model.vision_tower")
    text = language(c, m)
    bias, side = c.flag("multimodal_projector_bias"), c.size("spatial_merge_size", 2)

    def write(t: Trace) -> None:
        width = vision.hidden
        x = t.norm("norm", t.input(width, Axis.PATCHES))
        x = t.linear("patch_merger.merging_layer", merged(t, x, side * side), width)
        if (taken := layers_taken(c)) > 1:
            x = t.input(width * taken, Axis.IMAGE_TOKENS)
        two_layers(t, x, LINEARS, text.hidden, text.hidden, c.text("projector_hidden_act", "gelu"), bias=bias)

    project(m, "model.multi_modal_projector", write)
    m.notes["image"] |= {"merge": side * side}
    logits(c, m, text)
