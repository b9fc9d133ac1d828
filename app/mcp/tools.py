"""Tools by name: where each asks, what it takes, and the answer or refusal that it gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from ..api.error_body import error_body
from ..api.schemas.base import StrictSchema
from ..api.schemas.calibration import CalibrateSchema
from ..api.schemas.inference import InferenceSchema
from ..api.schemas.others import CompareSchema, GpusQuery, InspectSchema, ModelsQuery
from ..api.schemas.performance import ComparePerformanceSchema, PerformanceSchema
from ..api.schemas.recommend import RecommendSchema
from ..api.schemas.training import TrainingSchema
from ..api.schemas.training_speed import TrainingSpeedSchema
from ..api.schemas.validation import LogSchema
from ..errors import DomainError, UnknownName, invalid
from ..estimator.local import Answer, Local
from ..messages import Message
from .schema import json_schema

_NAMED: Final = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Tool:
    """One tool: a `GET` where it takes a name or a query, a `POST` where it takes a request."""

    name: str
    method: str
    path: str
    schema: StrictSchema | None = None

    @property
    def description(self) -> str:
        """One sentence."""
        return Message(f"mcp_{self.name}").text()

    @cached_property
    def input_schema(self) -> dict[str, Any]:
        """What it takes, as JSON Schema."""
        return _NAMED if self.schema is None else json_schema(self.schema)


TOOLS: Final[Mapping[str, Tool]] = {
    tool.name: tool
    for tool in (
        Tool("memory_inference", "POST", "/api/memory/inference", InferenceSchema()),
        Tool("memory_training", "POST", "/api/memory/training", TrainingSchema()),
        Tool("memory_compare", "POST", "/api/memory/compare", CompareSchema()),
        Tool("performance_inference", "POST", "/api/performance/inference", PerformanceSchema()),
        Tool("performance_training", "POST", "/api/performance/training", TrainingSpeedSchema()),
        Tool("performance_compare", "POST", "/api/performance/compare", ComparePerformanceSchema()),
        Tool("recommend", "POST", "/api/recommend", RecommendSchema()),
        Tool("calibrate", "POST", "/api/calibrate", CalibrateSchema()),
        Tool("inspect_config", "POST", "/api/models/inspect", InspectSchema()),
        Tool("validate_log", "POST", "/api/validate/log", LogSchema()),
        Tool("list_models", "GET", "/api/models", ModelsQuery()),
        Tool("list_accelerators", "GET", "/api/gpus", GpusQuery()),
        Tool("model", "GET", "/api/models/"),
        Tool("accelerator", "GET", "/api/gpus/"),
    )
}


def call(local: Local, name: str, given: Mapping[str, Any]) -> tuple[Answer, bool]:
    """The answer of a tool, or the error object that HTTP would give, and whether it is one."""
    try:
        return _call(local, name, given), False
    except DomainError as error:
        return error_body(error, local.language), True


def _call(local: Local, name: str, given: Mapping[str, Any]) -> Answer:
    tool = TOOLS.get(name)
    if tool is None:
        raise UnknownName(Message("mcp_no_tool", {"name": name[:80], "closest": ", ".join(TOOLS)}), TOOLS)
    if tool.method == "POST":
        return local.post(tool.path, given)
    if tool.schema is not None:
        return local.get(tool.path, given)
    if not isinstance(given.get("name"), str):
        raise invalid("name", "is_missing")
    return local.get(tool.path + given["name"])
