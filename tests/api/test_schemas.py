"""Walks over every request schema: strict fields only, defaults of the core, descriptions everywhere."""

from collections.abc import Iterator

import marshmallow as ma
import pytest

from app.api.documentation import Api
from app.api.resources import BLUEPRINTS
from app.api.schemas.base import QuerySchema, StrictSchema
from app.api.schemas.fields import Choice, Nested, Strict, TextOrObject
from app.api.schemas.inference import InferenceSchema
from app.api.schemas.training import TrainingSchema
from app.defaults import defaults_of
from app.memory.requests import InferenceRequest, TrainingRequest


def request_schemas() -> Iterator[StrictSchema]:
    """Every schema that a handler of any blueprint reads its arguments with."""
    for blueprint in BLUEPRINTS:
        for methods in blueprint._docs.values():
            for documented in methods.values():
                for parameter in ((documented or {}).get("arguments") or {}).get("parameters", []):
                    yield parameter["schema"]


def walk(schema: ma.Schema, path: str = "") -> Iterator[tuple[str, ma.fields.Field]]:
    """Every field of a schema and of the schemas inside it."""
    for name, field in schema.fields.items():
        yield f"{path}{name}", field
        inner = field.schema if isinstance(field, Nested | TextOrObject) else None
        if inner is not None:
            yield from walk(inner, f"{path}{name}.")


ALL = sorted({type(schema).__name__: schema for schema in request_schemas()}.items())
EVERY_FIELD = [(f"{name}.{path}", field) for name, schema in ALL for path, field in walk(schema)]


def test_there_are_schemas_to_walk() -> None:
    assert {"InferenceSchema", "TrainingSchema", "CompareSchema", "RegisterSchema"} <= {
        name for name, _ in ALL
    }
    assert len(EVERY_FIELD) > 100


@pytest.mark.parametrize("schema", [schema for _, schema in ALL], ids=[name for name, _ in ALL])
def test_schemas_are_strict_instances(schema: StrictSchema) -> None:
    assert isinstance(schema, StrictSchema)
    assert schema.unknown == ma.RAISE


@pytest.mark.parametrize("field", [field for _, field in EVERY_FIELD], ids=[path for path, _ in EVERY_FIELD])
def test_fields_are_strict_and_described(field: ma.fields.Field) -> None:
    assert isinstance(field, Strict)
    assert field.metadata["description"]
    assert not field.validators, "bounds belong to the field, which publishes them"


@pytest.mark.parametrize("schema", [s for _, s in ALL if not isinstance(s, QuerySchema)], ids=str)
def test_no_field_converts(schema: StrictSchema) -> None:
    """Neither text nor booleans pass for numbers, nor numbers for text or booleans."""
    for path, field in walk(schema):
        assert isinstance(field, Strict)
        taken = [value for value in ("0.5", 0.5, True) if _takes(field, value)]
        allowed = {ma.fields.String: 1, ma.fields.Number: 1, ma.fields.Boolean: 1}
        kinds = sum(count for kind, count in allowed.items() if isinstance(field, kind))
        assert len(taken) <= max(kinds, 1), f"{path} takes {taken}"


def _takes(field: Strict, value: object) -> bool:
    try:
        field.read(value, "x")
    except ma.ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("schema", "question"), [(InferenceSchema(), InferenceRequest), (TrainingSchema(), TrainingRequest)]
)
def test_published_defaults_are_the_questions_own(schema: StrictSchema, question: type) -> None:
    own = defaults_of(question)
    for name, field in schema.fields.items():
        if "default" in field.metadata and name in own:
            assert field.metadata["default"] == own[name], name


def test_every_field_of_the_questions_can_be_asked() -> None:
    beside = {"model", "extra"}
    for schema, question in ((InferenceSchema(), InferenceRequest), (TrainingSchema(), TrainingRequest)):
        assert set(question.__struct_fields__) - beside <= set(schema.fields)


def test_defaults_are_canonical() -> None:
    for path, field in EVERY_FIELD:
        if isinstance(field, Choice) and (default := field.metadata.get("default")) is not None:
            assert field.of.canonical(str(default)) == default, path


def test_the_documented_error_is_ours() -> None:
    assert Api.ERROR_SCHEMA.__module__ == "app.api.errors"
