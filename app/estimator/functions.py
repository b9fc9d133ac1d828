"""The calculations as functions: one for each endpoint, the same fields, checks and answers.

A model is given first, as a name or hub id, a configuration, or billions of parameters; everything else by
the names of the HTTP interface. Wrong input raises `DomainError` (see `errors`), which names every problem.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from ..messages import Language
from .accelerator import Device
from .fields import Configurations, InferenceFields, PerformanceFields, TrainingFields, TrainingSpeedFields
from .local import Local
from .result import Result

if TYPE_CHECKING:
    from ..sweeps.local import Sweep

ModelForm = str | float | Mapping[str, Any]


@cache
def local(language: Language = "en") -> Local:
    """The service of this process in one language; settings come from the environment."""
    return Local(language=language)


def memory_inference(
    model: ModelForm | None = None, /, *, language: Language = "en", **fields: Unpack[InferenceFields]
) -> Result:
    """Memory of serving a model [bytes], as `POST /api/memory/inference` answers; raises `DomainError`.

    >>> memory_inference(7, precision="float16")["memory_requirements"]["model_weights"]
    '14.00 GB'
    """
    return _ask("/api/memory/inference", request_of(model, fields), language)


def memory_training(
    model: ModelForm | None = None, /, *, language: Language = "en", **fields: Unpack[TrainingFields]
) -> Result:
    """Memory of training a model [bytes], as `POST /api/memory/training` answers; raises `DomainError`."""
    return _ask("/api/memory/training", request_of(model, fields), language)


def performance_inference(
    model: ModelForm | None = None, /, *, language: Language = "en", **fields: Unpack[PerformanceFields]
) -> Result:
    """Speed of serving, as `POST /api/performance/inference` answers; needs `gpu`; raises `DomainError`."""
    return _ask("/api/performance/inference", request_of(model, fields), language)


def performance_training(
    model: ModelForm | None = None, /, *, language: Language = "en", **fields: Unpack[TrainingSpeedFields]
) -> Result:
    """Speed of training, as `POST /api/performance/training` answers; needs `gpu`; raises `DomainError`."""
    return _ask("/api/performance/training", request_of(model, fields), language)


def recommend(
    model: ModelForm | None = None,
    /,
    *,
    task: Literal["inference", "training"] = "inference",
    language: Language = "en",
    **fields: Any,
) -> Result:
    """What to run it on, best first, as `POST /api/recommend` answers; raises `DomainError`.

    `fields` are those of the task's request without `gpu`, and `targets`, `gpus`, `max_gpus`, `prices`.
    """
    return _ask("/api/recommend", {"task": task, **request_of(model, fields)}, language)


def estimate(
    model: ModelForm | None = None,
    /,
    *,
    task: Literal["inference", "training"] = "inference",
    language: Language = "en",
    **fields: Any,
) -> Result:
    """Memory, speed and what to run it on in one answer, as `POST /api/v1/{task}/estimate` gives it."""
    return _ask(f"/api/v1/{task}/estimate", request_of(model, fields), language)


def compare(
    calculation_type: Literal["inference", "training"],
    configurations: Configurations,
    *,
    language: Language = "en",
) -> Result:
    """Requests side by side and why they differ, as `POST /api/memory/compare` answers."""
    body = {
        "calculation_type": calculation_type,
        "configurations": [request_of(None, each) for each in configurations],
    }
    return _ask("/api/memory/compare", body, language)


def sweep(
    calculation: Literal[
        "memory_inference", "performance_inference", "memory_training", "performance_training"
    ],
    vary: Mapping[str, Sequence[Any] | Mapping[str, int]],
    fixed: Mapping[str, Any] | None = None,
    *,
    processes: int | None = 0,
    language: Language = "en",
) -> "Sweep":
    """Every combination of what varies, as `POST /api/sweeps` computes it; raises `DomainError`.

    `vary` has the axes: by field a list of its values or a `range` of integers, by `model`, `layout`,
    `lengths` or `variant` a list of objects that set several fields. The sweep is computed as it is read:
    it yields rows, `write(path)` puts them into `.ndjson` or `.parquet`.

    >>> rows = sweep("memory_inference", {"batch_size": [1, 8]}, {"model_size": 7, "precision": "float16"})
    >>> [(row["batch_size"], row["model_weights"]) for row in rows]
    [(1, 14000000000), (8, 14000000000)]
    """
    axes = {name: _axis(given) for name, given in vary.items()}
    body = {"calculation": calculation, "vary": axes, "fixed": request_of(None, fixed or {})}
    return local(language).sweep(body, processes)


def _axis(given: Sequence[Any] | Mapping[str, int]) -> Any:
    if isinstance(given, range) and given.step > 0 and given:
        return {"from": given[0], "to": given[-1], "step": given.step}
    if isinstance(given, Mapping):
        return given
    return [each.request() if isinstance(each, Device) else each for each in given]


def inspect(model: str | Mapping[str, Any], *, tensors: bool = False, language: Language = "en") -> Result:
    """What is known of a model by name, or what a configuration or GGUF file makes; raises `DomainError`."""
    source, query = local(language), {"tensors": tensors}
    if isinstance(model, str) and model.endswith(".gguf"):
        return Result(source.inspect_file(Path(model), query))
    if isinstance(model, str):
        return Result(source.get(f"/api/models/{model}", query))
    return Result(source.post("/api/models/inspect", {"config": model}, query))


def list_models(**query: Any) -> Result:
    """Models as `GET /api/models` lists them; `query` has its parameters, such as `search` and `sort`."""
    return Result(local().get("/api/models", query))


def list_accelerators(**query: Any) -> Result:
    """Accelerators as `GET /api/gpus` lists them: `type`, `vendor`, `min_memory_gb`."""
    return Result(local().get("/api/gpus", query))


def validate_log(log: str, *, language: Language = "en", **fields: Unpack[InferenceFields]) -> Result:
    """A runtime's start-up log: predicted beside measured, as `POST /api/validate/log` answers."""
    return _ask("/api/validate/log", {"log": log, **request_of(None, fields)}, language)


def calibrate(
    measurements: Sequence[Mapping[str, Any]],
    model: ModelForm | None = None,
    /,
    *,
    calculation_type: Literal["inference", "training"] = "inference",
    name: str | None = None,
    language: Language = "en",
    **fields: Any,
) -> Result:
    """Corrections by measurements of one's own, as `POST /api/calibrate` answers; raises `DomainError`.

    Each measurement has `measured` (figures) and `request` (fields over `model` and `fields`, which all
    share). The answer's `coefficients`, or the `name` that it is kept under, go into later requests as
    `calibration`.
    """
    runs = [{**each, "request": request_of(None, each.get("request", {}))} for each in measurements]
    body: dict[str, Any] = {
        "calculation_type": calculation_type,
        "request": request_of(model, fields),
        "measurements": runs,
    }
    return _ask("/api/calibrate", body if name is None else {**body, "name": name}, language)


def request_of(model: ModelForm | None, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a request: the model in the form that it was given in, and a `Device` as its figures."""
    body = dict(fields)
    if isinstance(model, str):
        body["model_name"] = model
    elif isinstance(model, Mapping):
        body["config"] = model
    elif model is not None:
        body["model_size"] = model
    if isinstance(body.get("gpu"), Device):
        body["gpu"] = body["gpu"].request()
    return body


def _ask(path: str, body: Mapping[str, Any], language: Language) -> Result:
    return Result(local(language).post(path, body))
