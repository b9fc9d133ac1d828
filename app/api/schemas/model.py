"""The part of a request that names the model: exactly one of three forms, and how it is stored."""

from collections.abc import Mapping
from typing import Any, ClassVar

from ...errors import Problem
from ...messages import Message
from ...service.sized import DIMENSIONS
from .. import choices
from .base import Rule, StrictSchema
from .fields import Choice, Integer, Number, Object, Text

LARGEST_BATCH = 2**20
LONGEST = 2**27
MOST_GPUS = 2**17
FORMS = ("model_name", "config", "model_size")


def one_model(data: Mapping[str, Any], prefix: str) -> Problem | None:
    """Exactly one of the three forms."""
    given = [form for form in FORMS if form in data]
    if len(given) == 1:
        return None
    code = "model_given_twice" if given else "model_missing"
    field = given[1] if given else FORMS[0]
    return Problem(prefix + field, Message(code, {"field": prefix + field, "given": ", ".join(given)}))


def dimensions_need_size(data: Mapping[str, Any], prefix: str) -> Problem | None:
    """Dimensions of one's own belong to `model_size`; elsewhere they would be ignored."""
    if "model_size" in data:
        return None
    stray = next((name for name in DIMENSIONS if name in data), None)
    if stray is None:
        return None
    return Problem(prefix + stray, Message("dimension_without_size", {"field": prefix + stray}))


class ModelSchema(StrictSchema):
    """Which model, and how its numbers are stored."""

    rules: ClassVar[tuple[Rule, ...]] = (one_model, dimensions_need_size)

    model_name = Text("A registry name (Qwen3-0.6B), a hub id (Qwen/Qwen3-0.6B) or one of their aliases.")
    config = Object("A Hugging Face config.json object; fields left out take that architecture's defaults.")
    model_size = Number(
        "Billions of parameters; weights are exactly this times the bytes.", above=0, most=1e5
    )
    hidden_size = Integer("With model_size: width of the residual stream.", most=2**20)
    num_hidden_layers = Integer("With model_size: layers.", most=2**14)
    num_attention_heads = Integer("With model_size: query heads.", most=2**16)
    num_key_value_heads = Integer("With model_size: key-value heads [query heads].", most=2**16)
    head_dim = Integer("With model_size: width of a head [hidden / heads].", most=2**16)
    intermediate_size = Integer("With model_size: inner width of the feed-forward.", most=2**24)
    vocab_size = Integer("With model_size: rows of the embedding.", most=2**26)
    precision = Choice(
        "Data type of the weights [the configuration's own]; int8 and int4 are textbook figures.",
        of=choices.PRECISIONS,
        default=None,
    )
    quantization = Choice(
        "Real format, with its scales and wide parts [the checkpoint's own, else none].",
        of=choices.QUANTIZATIONS,
        default=None,
    )
