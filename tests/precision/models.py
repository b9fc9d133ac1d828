"""Architectures of registry models, for the tests of this folder."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from app.architecture import Architecture, read_config

MODELS = Path(__file__).parents[2] / "configs" / "models"


@cache
def config(name: str) -> dict[str, Any]:
    return dict(json.loads((MODELS / name / "config.json").read_text()))


@cache
def model(name: str) -> Architecture:
    return read_config(config(name))
