"""The first answer: what a link asks for, answered before any script runs.

The address carries the API's own field names (`gpu`, `lora.rank`); keys that the schemas do not know are
left to the page, which names them. Without JavaScript this answer and a plain form are the whole page.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

from ..api.errors import error_body
from ..api.schemas.inference import InferenceSchema
from ..api.schemas.training import TrainingSchema
from ..errors import DomainError
from ..messages import Language
from ..service import Calculation, Service

MODES: Final = ("inference", "training", "fine-tuning", "compare")
_SCHEMAS: Final = {"inference": InferenceSchema(), "training": TrainingSchema()}
_WORDS: Final[Mapping[str, Any]] = {"true": True, "false": False}
_PAGE_KEYS: Final = ("mode", "view", "part", "x", "unit", "axis", "show", "over", "sort")


@cache
def presets() -> list[dict[str, Any]]:
    """The questions that the page offers, the first one being what a first visit sees."""
    text = (Path(__file__).parent / "presets.json").read_text(encoding="utf-8")
    return cast(list[dict[str, Any]], json.loads(text))


def mode_of(query: Mapping[str, str]) -> str:
    """The mode that a query names; inference where it names none."""
    asked = query.get("mode", "inference")
    return asked if asked in MODES else "inference"


def body_of(query: Mapping[str, str]) -> dict[str, Any]:
    """The request that a query stands for: dotted keys nested, numbers and truth values read.

    >>> body_of({"mode": "training", "model_name": "Qwen3-8B", "lora.rank": "8", "fsdp": "true"})
    {'model_name': 'Qwen3-8B', 'lora': {'rank': 8}, 'fsdp': True}
    """
    body: dict[str, Any] = {}
    for key, text in query.items():
        outer, _, inner = key.partition(".")
        if key in _PAGE_KEYS or not text:
            continue
        if inner:
            place = body.setdefault(outer, {})
            if isinstance(place, dict):
                place[inner] = _value(key, text)
        else:
            body[key] = _value(key, text)
    return body


def first_answer(service: Service, query: Mapping[str, str], language: Language) -> dict[str, Any]:
    """Request and answer (or error) of a query; that of the first preset where it names no model."""
    mode = mode_of(query)
    body = body_of(query)
    if not body.keys() & {"model_name", "model_size"}:
        if body:
            return {"mode": mode, "request": None, "answer": None, "error": None}
        body = dict(next(preset for preset in presets() if preset["mode"] == mode)["body"])
    calculation: Calculation = "training" if mode in ("training", "fine-tuning") else "inference"
    if mode == "compare":
        return {"mode": mode, "request": None, "answer": None, "error": None}
    found = {"mode": mode, "calculation": calculation, "request": body, "answer": None, "error": None}
    schema = _SCHEMAS[calculation]
    try:
        known = {key: value for key, value in body.items() if key in schema.fields}
        found["answer"] = service.memory(calculation, schema.load(known), language)
    except DomainError as error:
        found["error"] = error_body(error, language)
    return found


def _value(key: str, text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if key in ("model_name", "backend_version", "gpu"):
        return text
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text.split(",") if "," in text else text
