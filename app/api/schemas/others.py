"""Requests of the other endpoints: compare, models, accelerators."""

from collections.abc import Mapping
from typing import Any, ClassVar

import marshmallow as ma

from ...errors import Problem
from ...messages import Message
from ...registry.models import SORTS
from .. import choices
from .base import QuerySchema, Rule, StrictSchema
from .fields import Boolean, Choice, Integer, Number, Object, Strict, Text, rejected

MOST_CONFIGURATIONS = 1000


class Configurations(Strict, ma.fields.List[Any]):
    """1 to `MOST_CONFIGURATIONS` requests; what is wrong inside one becomes that one's error."""

    def __init__(self, description: str, *, most: int = MOST_CONFIGURATIONS) -> None:
        self.most = most
        super().__init__(
            description,
            cls_or_instance=ma.fields.Raw(),  # what is no request becomes that one's error
            required=True,
            published={"minItems": 1, "maxItems": most},
        )

    def accept(self, value: Any, path: str) -> list[Any]:
        if not isinstance(value, list) or not 1 <= len(value) <= self.most:
            raise rejected(path, "not_configurations", most=self.most)
        return value


class Sort(Text):
    """One of the registry's orders, or its reverse."""

    def accept(self, value: Any, path: str) -> str:
        if value.removeprefix("-") not in SORTS:
            raise rejected(path, "bad_sort", choices=", ".join([*SORTS, *(f"-{name}" for name in SORTS)]))
        return str(value)


class CompareSchema(StrictSchema):
    """The envelope of a compare."""

    calculation_type = Choice("Which calculation.", of=choices.CALCULATIONS, required=True)
    configurations = Configurations("Requests of that calculation.")


def file_in_repository(data: Mapping[str, Any], prefix: str) -> Problem | None:
    """A file and its revision are a repository's."""
    stray = next((name for name in ("file", "revision") if name in data), None)
    if stray is None or "repo_id" in data:
        return None
    return Problem(prefix + stray, Message("needs_repo_id", {"field": prefix + stray}))


def config_or_file(data: Mapping[str, Any], prefix: str) -> Problem | None:
    """Something to read: a configuration, or a file of a repository."""
    if "repo_id" in data and "file" not in data:
        return Problem(prefix + "file", Message("is_missing", {"field": prefix + "file"}))
    if "repo_id" not in data and "config" not in data:
        return Problem(prefix + "config", Message("is_missing", {"field": prefix + "config"}))
    return None


class InspectSchema(StrictSchema):
    """A configuration to read, or a GGUF file of the hub."""

    rules: ClassVar[tuple[Rule, ...]] = (config_or_file, file_in_repository)

    config = Object("A Hugging Face config.json object; with file: that of its model [from its metadata].")
    repo_id = Text("Instead: a repository of the hub (owner/name); may need a token.", longest=200)
    file = Text("With repo_id: its GGUF file, or any part of a split one.", longest=200)
    revision = Text("With repo_id: branch, tag or commit [main].", longest=200)


def one_source(data: Mapping[str, Any], prefix: str) -> Problem | None:
    """A configuration under a name, or a repository."""
    if ("config" in data) == ("repo_id" in data) and "file" not in data:
        return Problem(prefix + "config", Message("register_one", {"field": prefix + "config"}))
    if "repo_id" in data:
        return None
    if "config" in data and "name" not in data:
        return Problem(prefix + "name", Message("is_missing", {"field": prefix + "name"}))
    return None


class RegisterSchema(StrictSchema):
    """A model of one's own: a configuration under a name, or a repository of the hub."""

    rules: ClassVar[tuple[Rule, ...]] = (one_source, file_in_repository)

    name = Text("Its name; letters, digits, dots, dashes and underscores.", longest=128)
    config = Object("A Hugging Face config.json object; with file: that of its model [from its metadata].")
    repo_id = Text("Instead: a repository of the hub (owner/name).", longest=200)
    file = Text("With repo_id: its GGUF file instead, or any part of a split one.", longest=200)
    revision = Text("With repo_id: branch, tag or commit [main].", longest=200)


class ReplaceSchema(StrictSchema):
    """A new configuration for a model of one's own."""

    config = Object("A Hugging Face config.json object.", required=True)


class ModelQuery(QuerySchema):
    """Which tensors an inspection lists."""

    tensors = Boolean("Whether the tensors are listed.")
    limit = Integer("Most tensors listed [50000].", most=50_000)
    offset = Integer("Tensors skipped.", least=0)


class ModelsQuery(QuerySchema):
    """Which models are listed."""

    names = Text("Exact names, with commas between them.", longest=4000)
    details = Boolean("Also active parameters, context and cache per token; at most 100 rows [false].")
    search = Text("Part of the name or id.", longest=200)
    family = Text("Model type.", longest=100)
    min_params = Number("Fewest parameters.", most=1e18)
    max_params = Number("Most parameters.", most=1e18)
    sort = Sort("name, parameters or released; with - before it descending.")
    limit = Integer("Most models listed [all].", most=100_000)
    offset = Integer("Models skipped [0].", least=0)


class GpusQuery(QuerySchema):
    """Which accelerators are listed."""

    type = Choice("Kind of device.", of=choices.DEVICE_TYPES)
    vendor = Text("Maker.", longest=100)
    min_memory_gb = Number("Least memory.", most=1e9)
