"""Where families sign up: the function that writes a model type down, by that type's name.

A *body* is the part below the language-model head (`LlamaModel`); image-text models nest it under a
prefix of their own. A *family* is the whole model (`LlamaForCausalLM`). A file is read when one of its
names is first asked for: `index.json` tells which names stand in which file.
"""

from collections.abc import Callable, Sequence

from ..builder import ModelBuilder
from ..config import Config
from .index import Table

Writer = Callable[[Config, ModelBuilder], None]

BODIES: Table[Writer] = Table("bodies")
FAMILIES: Table[Writer] = Table("families")
HEADED: Table[str] = Table("headed")  # types that are a body and a head and nothing else; the body's prefix
CLASSES: Table[Writer] = Table("classes")  # by a checkpoint's class, where one type has several models
TOWERS: Table[Writer] = Table("towers")  # encoders of pictures or sound, by their configuration's type
TABLES = (BODIES, FAMILIES, HEADED, CLASSES, TOWERS)


def body(*model_types: str) -> Callable[[Writer], Writer]:
    """Sign up a body without a head."""

    def register(write: Writer) -> Writer:
        for model_type in model_types:
            BODIES[model_type] = write
        return write

    return register


def family(*model_types: str) -> Callable[[Writer], Writer]:
    """Sign up a whole model."""

    def register(write: Writer) -> Writer:
        for model_type in model_types:
            FAMILIES[model_type] = write
        return write

    return register


def of_class(*class_names: str) -> Callable[[Writer], Writer]:
    """Sign up a model that is not its type's usual one, by the name of its class in `architectures`."""

    def register(write: Writer) -> Writer:
        for class_name in class_names:
            CLASSES[class_name] = write
        return write

    return register


def softcap(config: Config) -> Sequence[str]:
    """cap * tanh(logits / cap), where `final_logit_softcapping` is set."""
    return ("scale", "tanh", "scale") if config.get("final_logit_softcapping") else ()


def scaled(config: Config) -> Sequence[str]:
    """Logits times a constant."""
    return ("scale",)


def decoder(
    *model_types: str,
    prefix: str = "model",
    head: str = "lm_head",
    bias: bool | Callable[[Config], bool] = False,
    after: Callable[[Config], Sequence[str]] | None = None,
    ties: bool = True,
) -> Callable[[Writer], Writer]:
    """Sign up a body and the causal language model made of it: the body under `prefix`, then a head.

    `after` [the soft cap, where the configuration has one] tells what is done to the logits; without
    `ties` the head has a matrix of its own whatever the configuration says.
    """

    def register(write: Writer) -> Writer:
        body(*model_types)(write)
        HEADED.update(dict.fromkeys(model_types, prefix))

        def whole(config: Config, model: ModelBuilder) -> None:
            with model.prefix(prefix):
                write(config, model)
            kinds = (after or softcap)(config)
            biased = bias if isinstance(bias, bool) else bias(config)
            model.head(
                head, model.hidden_size, config.vocab, tied=ties and config.tied, bias=biased, after=kinds
            )

        family(*model_types)(whole)
        return write

    return register
