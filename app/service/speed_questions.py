"""From checked values to a question about speed: the memory question, and how requests come."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from ..defaults import defaults_of
from ..errors import invalid
from ..lanes import most
from ..memory.requests import InferenceRequest
from ..messages import Message
from ..performance.requests import PerformanceRequest
from .calibration_use import calibration_of, said_of
from .lookup import Lookup
from .questions import inference_question, tokens_of

Values = Mapping[str, Any]

_OWN: Final = defaults_of(PerformanceRequest)
_LENGTHS: Final = ("input_length", "output_length")
# Fields that say how a load is simulated; a batch that starts together has none.
_OF_LOAD: Final = ("mode", "seed", "num_requests", "disaggregated")


class SpeedQuestion(Struct, frozen=True):
    """A question about speed, the request as the answer echoes it, and what to warn of."""

    request: PerformanceRequest
    parameters: dict[str, Any]
    warnings: tuple[Message, ...]


def speed_question(values: Values, lookup: Lookup) -> SpeedQuestion:
    """The question of `POST /api/performance/inference`; raises `DomainError`."""
    if values.get("gpu") is None:
        raise invalid("gpu", "is_missing")
    own = {name: value for name, value in values.items() if name in _OWN and name not in _LENGTHS}
    speculative = values.get("speculative") or {}
    if "acceptance_rate" in speculative:
        own["acceptance_rate"] = speculative["acceptance_rate"]
    calibration = calibration_of(values.get("calibration"), "inference")
    question = inference_question(_of_memory(values), lookup)
    serving = question.request
    assert isinstance(serving, InferenceRequest)  # noqa: S101 - what that function makes
    read, written = lengths_of(values)
    serving = replace(serving, sequence_length=max(serving.sequence_length, read + written))
    request = PerformanceRequest(serving, read, written, **{**own, "calibration": calibration})
    echoed = {**question.parameters, **{k: v for k, v in _OWN.items() if k != "acceptance_rate"}, **own}
    echoed.update(input_length=read, output_length=written)
    if speculative:
        echoed["speculative"] = speculative
    said = said_of(calibration, serving.gpu.name if serving.gpu else "", serving.backend)
    return SpeedQuestion(request, echoed, (*question.warnings, *said, *_idle(values, request)))


def _of_memory(values: Values) -> dict[str, Any]:
    """The same without what only speed asks."""
    kept = {name: value for name, value in values.items() if name not in _OWN or name in _LENGTHS}
    if kept.get("speculative"):
        kept["speculative"] = {k: v for k, v in kept["speculative"].items() if k != "acceptance_rate"}
    return kept


def lengths_of(values: Values) -> tuple[int, int]:
    """Tokens read and written: `sequence_length` alone is all read, with one token written."""
    if "input_length" in values:
        return values["input_length"], most(1, values.get("output_length", 0))
    return tokens_of(values), 1


def _idle(values: Values, request: PerformanceRequest) -> list[Message]:
    """A warning for each given field that cannot matter for this request."""
    static = request.request_rate is None and request.concurrency is None
    idle = [name for name in _OF_LOAD if static and name in values]
    if not static and "batch_size" in values:
        idle.append("batch_size")
    if not static and request.mode != "simulate":
        idle.extend(name for name in ("seed",) if name in values)
    return [Message("speed_idle_field", {"field": name}) for name in idle]
