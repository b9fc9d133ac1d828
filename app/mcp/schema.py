"""JSON Schema of a request, read off the schema that checks it."""

from typing import Any, Final

import marshmallow as ma

from ..api.schemas import fields as f
from ..api.schemas.others import Configurations

# The JSON type of each kind of field, the most particular first.
_TYPES: Final = (
    (f.Integer, "integer"),
    (f.Number, "number"),
    (f.Boolean, "boolean"),
    (f.Texts, "array"),
    (Configurations, "array"),
    (f.Nested, "object"),
    (f.Object, "object"),
    (f.Text, "string"),
)


def json_schema(schema: ma.Schema) -> dict[str, Any]:
    """An object with the fields of the schema and none beside them."""
    fields = schema.load_fields
    found: dict[str, Any] = {
        "type": "object",
        "properties": {name: _property(field) for name, field in fields.items()},
        "additionalProperties": False,
    }
    if required := [name for name, field in fields.items() if field.required]:
        found["required"] = required
    return found


def _property(field: Any) -> dict[str, Any]:
    kind = next((name for each, name in _TYPES if isinstance(field, each)), "string")
    found = {"type": kind, **{name: value for name, value in field.metadata.items() if value is not None}}
    if isinstance(field, f.Nested):
        found |= json_schema(field.schema)
    if kind == "array":
        found["items"] = {"type": "object" if isinstance(field, Configurations) else "string"}
    return found
