"""The options of every enumerated field: read off the schemas that check them, tried on the service itself.

A value that the service answers with `not_supported_yet` is left out, so this list cannot promise more than
the calculations hold.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import marshmallow as ma

from ..errors import DomainError, NotSupportedYet
from ..memory.runtimes.choices import VERSIONS
from ..messages import Language, Message, catalogue
from ..precision import schemes
from ..precision.dtypes import DTYPES
from ..precision.gguf import MIXES
from ..registry.names import normalised
from ..service import Calculation, Service
from .schemas.fields import Choice, Nested
from .schemas.inference import InferenceSchema
from .schemas.performance import PerformanceSchema
from .schemas.recommend import RecommendInferenceSchema
from .schemas.sweeps import SweepSchema
from .schemas.training import TrainingSchema

_SCHEMAS: Final[Mapping[Calculation, ma.Schema]] = {
    "inference": InferenceSchema(),
    "training": TrainingSchema(),
}
_SPEED: Final = PerformanceSchema()
_SWEEP: Final = SweepSchema()
_SMALL: Final = {
    "model_type": "llama",
    "hidden_size": 512,
    "intermediate_size": 1024,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "torch_dtype": "bfloat16",
}
_BEFORE: Final = {"lora": {"method": "lora"}}  # what else must be asked for a field inside to count


class Options:
    """The options of one service; what it supports is found out once."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._supported: dict[Calculation, dict[str, list[str]]] = {}

    def every(self, language: Language) -> dict[str, Any]:
        """By calculation and field: default, description and values, each with one line."""
        found: dict[str, Any] = {name: self._of(name, language) for name in _SCHEMAS}
        return {
            **found,
            "performance": _of_speed(language),
            "recommend": _of_plans(language),
            "sweeps": _described(dict(_choices(_SWEEP)), language),
        }

    def _of(self, calculation: Calculation, language: Language) -> dict[str, Any]:
        found = {}
        for path, field in _choices(_SCHEMAS[calculation]):
            names = self._names(calculation, path, field)
            if not names:
                continue
            values = [_value(path, name, field, language) for name in names]
            default = field.metadata.get("default")
            found[path] = {"default": default, "description": field.metadata["description"], "values": values}
        if calculation == "inference":
            found["backend_version"] = _versions()
        return found

    def _names(self, calculation: Calculation, path: str, field: Choice) -> list[str]:
        known = self._supported.setdefault(calculation, {})
        if path not in known:
            known[path] = [name for name in field.of.names if self._is_supported(calculation, path, name)]
        return known[path]

    def _is_supported(self, calculation: Calculation, path: str, name: str) -> bool:
        try:
            self._service.memory(calculation, _request(path, name))
        except NotSupportedYet as error:
            return all(problem.field != path for problem in error.problems)
        except DomainError:
            return True  # not for this model or runtime, but for another
        return True


def _of_plans(language: Language) -> dict[str, Any]:
    """What only `POST /api/recommend` asks, all of it answered."""
    schema = RecommendInferenceSchema()
    own = {path: field for path, field in _choices(schema) if path in ("task", "targets.statistic")}
    return _described(own, language)


def _described(fields: Mapping[str, Choice], language: Language) -> dict[str, Any]:
    """Default, description and values of fields that answer all they list."""
    return {
        path: {
            "default": field.metadata.get("default"),
            "description": field.metadata["description"],
            "values": [_value(path, name, field, language) for name in field.of.names],
        }
        for path, field in fields.items()
    }


def _versions() -> dict[str, Any]:
    """Versions of each runtime whose rules are covered; the last of each is its default."""
    description = _SCHEMAS["inference"].fields["backend_version"].metadata["description"]
    values = [
        {"value": version, "description": f"{backend} {version}", "backend": backend, "aliases": []}
        for backend, versions in VERSIONS.items()
        for version in versions
    ]
    return {"default": None, "description": description, "values": values}


def _of_speed(language: Language) -> dict[str, Any]:
    """What a request for speed has beside the memory request's fields."""
    own = set(_SPEED.load_fields) - set(_SCHEMAS["inference"].load_fields)
    return _described({path: field for path, field in _choices(_SPEED) if path in own}, language)


def _request(path: str, name: str) -> dict[str, Any]:
    outer, _, inner = path.rpartition(".")
    field = {outer: {inner: name}} if outer else {inner: name}
    return {"config": _SMALL, "explain": False, **_BEFORE.get(outer, {}), **field}


def _choices(schema: ma.Schema, prefix: str = "") -> Iterator[tuple[str, Choice]]:
    """Every enumerated field with its dotted path."""
    for name, field in schema.load_fields.items():
        if isinstance(field, Choice):
            yield prefix + name, field
        elif isinstance(field, Nested):
            yield from _choices(field.schema, f"{prefix}{name}.")


def _value(path: str, name: str, field: Choice, language: Language) -> dict[str, Any]:
    described: dict[str, Any] = {"value": name, "description": describe(path, name, language)}
    if (size := _bytes(path, name)) is not None:
        described["bytes"] = size
    return {**described, "aliases": list(field.of.aliases_of(name))}


def describe(path: str, name: str, language: Language) -> str:
    """One line on a value; GGUF's mixes share a sentence."""
    if path == "quantization" and name in MIXES:
        return Message("option_gguf", {"name": name.upper(), "bits": schemes.said_bits(name)}).text(language)
    topic = normalised(path.rpartition(".")[2])
    for code in (f"option_{topic}_{normalised(name)}", f"option_{normalised(name)}"):
        if code in catalogue():
            return Message(code).text(language)
    return name


def _bytes(path: str, name: str) -> float | None:
    """Bytes of one value of a data type or format, without scales; None for what has no size."""
    if path == "quantization":
        return None if name == "none" else schemes.said_bits(name) / 8
    return DTYPES[name].bits / 8 if name in DTYPES else None
