"""Questions about speed that the tests ask."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from app.performance.requests import PerformanceRequest
from app.performance.setup import Setup, set_up
from app.service.lookup import Lookup
from app.service.speed_questions import speed_question
from app.settings import read_settings


@cache
def lookup() -> Lookup:
    """The registry."""
    return Lookup(read_settings({}, data_folder=Path(mkdtemp())))


def ask(model: str = "Llama-3.1-8B", gpu: Any = "h100-sxm-80gb", **values: Any) -> PerformanceRequest:
    """A request as the service would make it."""
    lengths = {"input_length": 512, "output_length": 128}
    return speed_question({"model_name": model, "gpu": gpu, **lengths, **values}, lookup()).request


def setup(model: str = "Llama-3.1-8B", gpu: Any = "h100-sxm-80gb", **values: Any) -> Setup:
    """The same set up."""
    return set_up(ask(model, gpu, **values))
