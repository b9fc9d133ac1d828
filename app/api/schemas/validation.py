"""A start-up log, and what is known beside it."""

from collections.abc import Mapping
from typing import Any, ClassVar

from ...errors import Problem
from ...service.log_reader import LONGEST_LOG
from .base import Rule
from .fields import Text, rejected
from .inference import InferenceSchema, one_length
from .model import FORMS, dimensions_need_size, one_model


def no_second_model(data: Mapping[str, Any], prefix: str) -> Problem | None:
    """The log names the model; beside it at most one form may."""
    return one_model(data, prefix) if any(form in data for form in FORMS) else None


class Lines(Text):
    """Text of several lines, with whatever control characters a terminal left in it."""

    def accept(self, value: Any, path: str) -> str:
        if not isinstance(value, str):
            raise rejected(path, "not_text")
        if not 0 < len(value) <= self.longest:
            raise rejected(path, "log_too_long", most=self.longest)
        return value


class LogSchema(InferenceSchema):
    """A log; fields of the inference request stand over what it says."""

    rules: ClassVar[tuple[Rule, ...]] = (no_second_model, dimensions_need_size, one_length)

    log = Lines(
        "Start-up log of vLLM, SGLang or llama.cpp; its first lines are enough.",
        longest=LONGEST_LOG,
        required=True,
    )
