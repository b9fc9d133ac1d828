"""Registry models and requests that the memory tests ask about."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from app.architecture import Architecture, read_config
from app.hardware import Accelerator
from app.memory.requests import InferenceRequest, Model
from app.registry.gpus import gpus

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "models"


@cache
def architecture(name: str) -> Architecture:
    """A built-in model."""
    return read_config(json.loads((CONFIGS / name / "config.json").read_text(encoding="utf-8")))


@cache
def gpu(name: str = "h100-sxm-80gb", memory_gb: float | None = None) -> Accelerator:
    """A built-in accelerator, with another memory size if asked for."""
    found = gpus().find(name).accelerator
    return found if memory_gb is None else found.with_overrides({"memory_gb": memory_gb})


def ask(
    name: str, *, precision: str | None = None, quantization: str | None = None, **fields: Any
) -> InferenceRequest:
    """A request about a built-in model."""
    return InferenceRequest(Model(architecture(name), name, precision, quantization), **fields)
