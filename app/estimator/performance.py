"""An estimator for notebooks and scripts: a model, hardware and a workload in, metrics out."""

from collections.abc import Mapping
from typing import Any, Final

from ..messages import Language
from ..units import GB
from .functions import ModelForm, performance_inference
from .result import Result

# What is asked where no lengths are given; a speed without an answer of some length says little [tokens].
INPUT_LENGTH: Final = 1024
OUTPUT_LENGTH: Final = 256
_LENGTHS: Final = ("input_length", "output_length", "sequence_length")


class PerformanceEstimator:
    """Speed and memory of serving a model on an accelerator.

    >>> estimator = PerformanceEstimator(language="en")
    """

    def __init__(self, language: Language = "en") -> None:
        self.language: Language = language

    def estimate(
        self,
        model_name: ModelForm,
        hardware_config: Mapping[str, Any] | None = None,
        model_config: Mapping[str, Any] | None = None,
    ) -> Result:
        """Every key of `POST /api/performance/inference`, and `memory_usage_gb` [10^9 bytes, fullest GPU].

        `hardware_config`: `accelerator` (a name, a `gpu` object or a `Device`) and layout, such as
        `tensor_parallel`. `model_config`: any other field of the request, such as `batch_size` and
        `precision`; without lengths 1024 tokens are read and 256 written. Raises `DomainError`.
        """
        fields = {**(hardware_config or {}), **(model_config or {})}
        if "accelerator" in fields:
            fields["gpu"] = fields.pop("accelerator")
        answer = performance_inference(model_name, language=self.language, **with_lengths(fields))
        memory = answer["memory_bytes"]["inference_memory"]
        return Result({**answer, "memory_usage_gb": memory / GB})


def with_lengths(fields: Mapping[str, Any]) -> Any:
    """The request with lengths of its own, or with the usual ones."""
    if any(name in fields for name in _LENGTHS):
        return dict(fields)
    return {**fields, "input_length": INPUT_LENGTH, "output_length": OUTPUT_LENGTH}
