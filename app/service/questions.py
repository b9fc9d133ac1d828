"""From checked values to a question of the core, and the request echoed with its defaults."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict

from ..defaults import defaults_of
from ..hardware import Accelerator
from ..memory.requests import (
    Images,
    InferenceRequest,
    Lora,
    Offload,
    Speculative,
    TrainingRequest,
    ZeroOptimization,
)
from ..messages import Message
from .lookup import Found, Lookup
from .neutral import neutral_fields

Values = Mapping[str, Any]

_NOT_ECHOED: Final = ("model", "extra")
_ADAPTER_METHODS: Final = ("lora", "qlora", "dora")


class Question(Struct, frozen=True):
    """A question of the core, the request as the answer echoes it, and what to warn of."""

    request: InferenceRequest | TrainingRequest
    parameters: dict[str, Any]
    warnings: tuple[Message, ...]


def inference_question(values: Values, lookup: Lookup) -> Question:
    """The question of `POST /api/memory/inference`; raises `DomainError`."""
    found = lookup.model(values)
    known = {name: value for name, value in values.items() if name in _INFERENCE_DEFAULTS}
    warnings = list(found.warnings)
    if "input_length" in values:
        known["sequence_length"] = tokens_of(values)
    if values.get("speculative") is not None:
        known["speculative"] = _speculative(values["speculative"], lookup)
    if values.get("images") is not None:
        known["images"] = Images(**values["images"])
    echoed = _echo(_INFERENCE_DEFAULTS, values, known, found)
    if values.get("gpu") is not None:
        known["gpu"] = _gpu(values["gpu"], lookup, echoed, warnings)
    if "input_length" in values:
        echoed["output_length"] = values.get("output_length", 0)
    request = InferenceRequest(found.model, **known)
    warnings.extend(_beyond_context(request))
    return Question(request, echoed, tuple(warnings))


def tokens_of(values: Values) -> int:
    """All tokens of a sequence, by whichever fields say so."""
    if "input_length" in values:
        found: int = values["input_length"] + values.get("output_length", 0)
    else:
        found = values.get("sequence_length", _INFERENCE_DEFAULTS["sequence_length"])
    return found


def training_question(values: Values, lookup: Lookup) -> Question:
    """The question of `POST /api/memory/training`; raises `DomainError`."""
    found = lookup.model(values)
    known = {name: value for name, value in values.items() if name in _TRAINING_DEFAULTS}
    warnings = list(found.warnings)
    if "num_gpus" in values and "data_parallel" not in values:
        known["data_parallel"] = values["num_gpus"] // _model_parallel(values)
    if values.get("lora") is not None or values.get("method") in _ADAPTER_METHODS:
        known["lora"] = Lora(**(values.get("lora") or {}))
    known["offload"] = Offload(**values.get("offload", {}))
    known["zero_optimization"] = ZeroOptimization(**values.get("zero_optimization", {}))
    echoed = _echo(_TRAINING_DEFAULTS, values, known, found)
    if values.get("gpu") is not None:
        known["gpu"] = _gpu(values["gpu"], lookup, echoed, warnings)
    request = TrainingRequest(found.model, **known)
    echoed["num_gpus"] = request.data_parallel * _model_parallel(echoed)
    warnings.extend((*neutral_fields(request, values), *_beyond_context(request)))
    return Question(request, echoed, tuple(warnings))


def _defaults(question: type[Struct]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in defaults_of(question).items() if name not in _NOT_ECHOED}


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Lora | Offload | ZeroOptimization):
        return asdict(value)
    return value


_INFERENCE_DEFAULTS: Final = _defaults(InferenceRequest)
_TRAINING_DEFAULTS: Final = _defaults(TrainingRequest)


def _echo(defaults: Values, values: Values, known: Values, found: Found) -> dict[str, Any]:
    echoed: dict[str, Any] = {**defaults, **values}
    for name in ("lora", "offload", "zero_optimization", "sequence_length", "data_parallel"):
        if name in known:
            echoed[name] = _plain(known[name])
    if "model_name" in values:
        echoed["model_name"] = found.model.name
    echoed.setdefault("unit", "GB")
    return echoed


def _gpu(gpu: Any, lookup: Lookup, echoed: dict[str, Any], warnings: list[Message]) -> Accelerator:
    match = lookup.gpu(gpu)
    warnings.extend((*match.warnings, *match.accelerator.warnings()))
    name = match.accelerator.name
    echoed["gpu"] = name if isinstance(gpu, str) else {**gpu, "name": name}
    return match.accelerator


def _speculative(values: Values, lookup: Lookup) -> Speculative:
    draft = values["draft"]
    form = {"model_name": draft} if isinstance(draft, str) else draft
    return Speculative(values["num_tokens"], lookup.model(form).model)


def _model_parallel(values: Values) -> int:
    """GPUs of one replica."""
    sizes = (values.get(name, 1) for name in ("tensor_parallel", "pipeline_parallel", "context_parallel"))
    product = 1
    for size in sizes:
        product *= size
    return product


def _beyond_context(request: InferenceRequest | TrainingRequest) -> tuple[Message, ...]:
    context = request.model.architecture.context_length
    if context is None or request.sequence_length <= context:
        return ()
    return (Message("longer_than_context", {"length": request.sequence_length, "context": context}),)
