"""A model of which only its size is known: the dimensions that were not given come from its nearest kin."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

from ..errors import InvalidRequest, Problem
from ..messages import Message

DIMENSIONS: Final = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "intermediate_size",
    "vocab_size",
)
_TOLERANCE: Final = 0.1  # of the stated size, before the dimensions are said to disagree with it


class Kin(Struct, frozen=True):
    """A dense model that can lend dimensions."""

    name: str
    parameters: int
    dimensions: Mapping[str, int]


class Sized(Struct, frozen=True):
    """A configuration of the given size, and what was assumed."""

    config: Mapping[str, Any]
    warnings: tuple[Message, ...]


def kin_of(name: str, parameters: int, config: Mapping[str, Any]) -> Kin | None:
    """What a dense model of plain dimensions can lend; None where one is missing or it is no such model."""
    heads, hidden = config.get("num_attention_heads"), config.get("hidden_size")
    if not isinstance(heads, int) or not isinstance(hidden, int):
        return None
    known = {
        "num_key_value_heads": heads,
        "head_dim": hidden // heads,
        **{key: config[key] for key in DIMENSIONS if config.get(key) is not None},
    }
    whole = set(known) == set(DIMENSIONS) and all(
        type(value) is int and value > 0 for value in known.values()
    )
    return Kin(name, parameters, known) if whole else None


def sized_config(billions: float, given: Mapping[str, int], kin: Iterable[Kin]) -> Sized:
    """A llama-like configuration for `model_size`; missing dimensions are the nearest model's.

    Key-value heads and head width follow from the heads and the hidden size where those are given
    (heads, and hidden / heads), and are lent together with them where they are not.
    """
    size = billions * 1e9
    nearest = min(kin, key=lambda each: abs(each.parameters - size))
    dimensions = dict(given)
    lent = [name for name in DIMENSIONS if name not in given and not _follows(name, given)]
    dimensions.update({name: nearest.dimensions[name] for name in lent})
    dimensions.setdefault("num_key_value_heads", dimensions["num_attention_heads"])
    dimensions.setdefault("head_dim", _head_dim(dimensions))
    warnings: tuple[Message, ...] = ()
    if lent:
        params = {"model": nearest.name, "fields": ", ".join(lent)}
        warnings = (Message("dimensions_lent", params),)
    config = {"model_type": "llama", **dimensions, "max_position_embeddings": 2**27}
    return Sized(config, warnings)


def size_disagrees(billions: float, counted: int) -> tuple[Message, ...]:
    """A warning where the dimensions make a model of quite another size."""
    if abs(counted - billions * 1e9) <= _TOLERANCE * billions * 1e9:
        return ()
    return (Message("size_disagrees", {"size": billions, "counted": round(counted / 1e9, 2)}),)


def _follows(name: str, given: Mapping[str, int]) -> bool:
    if name == "num_key_value_heads":
        return "num_attention_heads" in given
    if name == "head_dim":
        return "num_attention_heads" in given or "hidden_size" in given
    return False


def _head_dim(dimensions: Mapping[str, int]) -> int:
    hidden, heads = dimensions["hidden_size"], dimensions["num_attention_heads"]
    if hidden % heads:
        message = Message(
            "heads_do_not_divide", {"field": "num_attention_heads", "heads": heads, "hidden": hidden}
        )
        raise InvalidRequest(message, [Problem("num_attention_heads", message)])
    return hidden // heads
