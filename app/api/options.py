"""The options of every enumerated field, read off the schemas that check them."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import marshmallow as ma

from ..messages import Language
from .schemas.fields import Choice, Nested
from .schemas.inference import InferenceSchema
from .schemas.training import TrainingSchema


@cache
def options(language: Language) -> Mapping[str, Any]:
    """Enumerated fields of each calculation: values and defaults."""
    return {"inference": _of(InferenceSchema()), "training": _of(TrainingSchema())}


def _of(schema: ma.Schema, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, field in schema.load_fields.items():
        if isinstance(field, Choice):
            found[prefix + name] = _values(field)
        elif isinstance(field, Nested):
            found.update(_of(field.schema, f"{prefix}{name}."))
    return found


def _values(field: Choice) -> dict[str, Any]:
    values = [{"value": name, "aliases": list(field.of.aliases_of(name))} for name in field.of.names]
    return {
        "default": field.metadata.get("default"),
        "description": field.metadata["description"],
        "values": values,
    }
