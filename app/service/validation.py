"""A start-up log in, predicted beside measured out: the log is read, its question asked of the rules.

Fields given beside the log stand over what it says; a log rarely names the device.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

from ..errors import invalid
from ..memory.requests import InferenceRequest
from ..messages import Message
from ..precision.dtypes import find
from .log_reader import Reading, compare_log, read_log
from .lookup import Lookup
from .questions import inference_question

Values = Mapping[str, Any]
MODEL_FIELDS: Final = ("model_name", "config", "model_size")
# In use before a log's first figure: context, and communicators of several ranks [GiB].
BEFORE_LOADING: Final = (0.51, 1.5)


def validate_log(text: str, given: Values, lookup: Lookup) -> tuple[dict[str, Any], tuple[Message, ...]]:
    """Predicted beside measured, term by term, and what to warn of.

    `given` are fields of the inference request. Raises `DomainError`: `InvalidRequest` where the text is no
    log or names no model, `UnknownName` where the model is not in the registry.
    """
    reading = read_log(text)
    fields = {**_fields(reading), **given}
    if any(name in given for name in MODEL_FIELDS):
        fields = {name: fields[name] for name in fields if name not in MODEL_FIELDS or name in given}
    elif "model_name" not in fields:
        raise invalid("model_name", "log_names_no_model")
    question = inference_question(fields, lookup)
    request = cast(InferenceRequest, question.request)
    answer = {
        "backend": reading.backend,
        "model": request.model.name,
        "parameters": {name: value for name, value in fields.items() if name != "config"},
        "measured": {name: round(value, 4) for name, value in reading.measured.items()},
        "terms": compare_log(reading, request),
    }
    return answer, question.warnings


def _fields(reading: Reading) -> dict[str, Any]:
    """What the log says, in canonical names; unknown data types and quantizations are left to the model."""
    fields = dict(reading.request)
    for name in ("precision", "kv_cache_dtype"):
        if name in fields:
            known = find(str(fields[name]))
            fields.pop(name)
            if known is not None:
                fields[name] = known.name
    free = reading.measured.get("free_before_gib")
    if free is not None:
        fields["gpu"] = {"memory_gb": round(free + BEFORE_LOADING[fields.get("tensor_parallel", 1) > 1], 2)}
    return fields
