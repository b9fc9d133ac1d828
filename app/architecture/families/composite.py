"""Models of several models: towers for pictures and sound, a language model below a prefix, one head.

A *tower* is an encoder with a configuration of its own (`vision_config`, `audio_config`); it signs up
under that configuration's `model_type`. What a picture costs stands in the notes under `image`:
`patches` and `tokens` of a picture of the configured `size`, or the pixels of a `patch` and how many
patches `merge` into a token where any size will do.
"""

from collections.abc import Callable, Sequence

from ..builder import ModelBuilder
from ..config import Config
from ..trace import Trace
from .registry import BODIES, TOWERS, Writer, softcap


def tower(*model_types: str) -> Callable[[Writer], Writer]:
    """Sign up an encoder of pictures or sound."""

    def register(write: Writer) -> Writer:
        TOWERS.update(dict.fromkeys(model_types, write))
        return write

    return register


def see(
    c: Config,
    m: ModelBuilder,
    name: str,
    key: str = "vision_config",
    *,
    component: str = "vision",
    otherwise: str | None = None,
    **forced: object,
) -> Config:
    """The tower that a sub-configuration describes, below `name`.

    `otherwise`: its type where none is stated; `forced`: fields that the outer configuration decides.
    """
    sub = c.sub(key)
    if forced:
        sub = Config({**sub.data, **forced}, sub.model_type, sub.path)
    if otherwise and not sub.model_type:
        sub = c.sub(key, otherwise)
    write = TOWERS.get(sub.model_type)
    if write is None:
        raise sub.uncovered("model_type", "its encoder of pictures or sound is not described here")
    with m.component(component), m.prefix(name):
        write(sub, m)
    return sub


def language(
    c: Config,
    m: ModelBuilder,
    name: str = "model.language_model",
    key: str = "text_config",
    *,
    flat: bool = False,
) -> Config:
    """The language model's body that a sub-configuration describes, below `name`.

    `flat`: the first published files have its fields beside the others.
    """
    text = c.sub(key)
    if flat and c.data.get(key) is None and "hidden_size" in c.data:
        text = Config(c.data, text.model_type, c.path)
    write = BODIES.get(text.model_type)
    if write is None:
        raise text.uncovered("model_type", "its language model is not described here")
    with m.prefix(name):
        write(text, m)
    m.notes["kind"] = "image_text"
    return text


def logits(
    c: Config,
    m: ModelBuilder,
    text: Config,
    name: str = "lm_head",
    *,
    tied: bool | None = None,
    rows: int | None = None,
    bias: bool = False,
    after: Sequence[str] | None = None,
    adapted: bool = False,
) -> None:
    """The head; whether it reuses the embedding is the outer configuration's to say.

    `adapted`: adapters on all linear modules take it too.
    """
    m.head(
        name,
        m.hidden_size,
        rows or text.vocab,
        tied=c.tied if tied is None else tied,
        bias=bias,
        after=softcap(text) if after is None else after,
        adapted=adapted,
    )


def project(m: ModelBuilder, name: str, write: Callable[[Trace], object]) -> None:
    """A projector below `name`: the tower's rows to the language model's width."""

    def noted(t: Trace) -> None:
        write(t)

    m.single("projector", noted, name=name)


def picture(m: ModelBuilder, **notes: object) -> None:
    """What a picture costs, for whoever budgets the encoder."""
    m.notes["image"] = notes
