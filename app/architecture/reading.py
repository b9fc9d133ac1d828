"""From a `config.json` to an `Architecture`: which lineage it is, and that lineage's description."""

from collections.abc import Mapping
from typing import Any

from ..errors import InvalidConfig, Problem, UnknownArchitecture
from ..messages import Message
from .architecture import Architecture
from .builder import ModelBuilder
from .config import Config, defaults
from .families import CLASSES, FAMILIES
from .families.registry import Writer
from .families.tasks import of_task
from .wild import NESTED, Settled, settle


def read_config(config: Mapping[str, Any]) -> Architecture:
    """The architecture that a `config.json` describes.

    Raises `UnknownArchitecture` when it names none or one that is not covered, `InvalidConfig` when its
    values are impossible.
    """
    settled = settle(config)
    stated = find_type(config, settled)
    model_type = settled.model_type if settled else stated
    write = writer(config, model_type)
    if write is None or settled is None:
        raise not_covered(stated)
    view = Config(settled.config, model_type)
    builder = ModelBuilder()
    try:
        write(view, builder)
    except (ZeroDivisionError, OverflowError) as impossible:
        message = Message("config_impossible", {"model_type": model_type})
        raise InvalidConfig(message, [Problem("config", message)]) from impossible
    return Architecture(
        model_type=stated,
        config=config,
        sections=tuple(builder.sections),
        hidden_size=builder.hidden_size,
        vocab_size=builder.vocab_size,
        context_length=_context(view),
        dtype=_dtype(view),
        class_name=class_name(config, model_type),
        kind=str(builder.notes.get("kind", "decoder")),
        warnings=settled.warnings,
        notes=builder.notes,
    )


def find_type(config: Mapping[str, Any], settled: Settled | None = None) -> str:
    """The model type: as stated, else the lineage that its class or its language model told.

    Raises `UnknownArchitecture` where neither is known.
    """
    stated = config.get("model_type")
    if isinstance(stated, str) and stated:
        return stated
    settled = settled or settle(config)
    if settled is not None:
        return settled.model_type
    classes = config.get("architectures")
    if isinstance(classes, list) and classes and isinstance(classes[0], str):
        raise not_covered(classes[0])
    message = Message("config_no_type")
    raise UnknownArchitecture(message, [Problem("config.model_type", message)])


def writer(config: Mapping[str, Any], model_type: str) -> Writer | None:
    """Who writes the model down: by its class where that decides, else the type's usual model.

    A class without a head that has no description of its own is not taken for the usual one.
    """
    stated = stated_class(config)
    if described := CLASSES.get(stated) or of_task(model_type, stated):
        return described
    classes = dict(defaults().get(model_type, {}).get("classes", {}))
    is_bare = stated == classes.pop("base", None) and bool(classes) and stated not in classes.values()
    return None if is_bare else FAMILIES.get(model_type)


def not_covered(name: str, reason: str = "its forward pass is not described here") -> UnknownArchitecture:
    """The error for a lineage that has no description."""
    message = Message("architecture_not_covered", {"name": name[:80], "reason": reason})
    return UnknownArchitecture(message, [Problem("config.model_type", message)])


def stated_class(config: Mapping[str, Any]) -> str:
    """The class that `architectures` names first; empty where it names none."""
    stated = config.get("architectures")
    return stated[0] if isinstance(stated, list) and stated and isinstance(stated[0], str) else ""


def class_name(config: Mapping[str, Any], model_type: str) -> str:
    """The class that the checkpoint is for."""
    if stated := stated_class(config):
        return stated
    classes = defaults().get(model_type, {}).get("classes", {})
    return str(classes.get("causal_lm") or classes.get("base") or "")


def _context(view: Config) -> int | None:
    for source in (view, view.sub("text_config")) if "text_config" in view.data else (view,):
        for name in ("max_position_embeddings", "max_seq_len", "n_positions", "model_max_length"):
            value = source.get(name)
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                return value
    return None


def _dtype(view: Config) -> str | None:
    for data in (view.data, *(view.data.get(name) for name in NESTED)):
        if isinstance(data, Mapping):
            value = data.get("dtype", data.get("torch_dtype"))
            if isinstance(value, str) and value != "auto":
                return value.removeprefix("torch.")
    return None
