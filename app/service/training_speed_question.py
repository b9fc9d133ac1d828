"""From checked values to a question of training speed, and the request echoed with its defaults."""

from collections.abc import Mapping
from typing import Any, Final, cast

from msgspec import Struct

from ..errors import invalid
from ..memory.requests import TrainingRequest
from ..messages import Message
from ..performance.training_requests import TrainingSpeedRequest
from .calibration_use import calibration_of, said_of
from .lookup import Lookup
from .questions import training_question

Values = Mapping[str, Any]

OWN: Final = ("tokens", "virtual_pipeline", "inter_node_gb_s", "calibration")


class SpeedQuestion(Struct, frozen=True):
    """A question of the core, the request as the answer echoes it, and what to warn of."""

    request: TrainingSpeedRequest
    parameters: dict[str, Any]
    warnings: tuple[Message, ...]


def training_speed_question(values: Values, lookup: Lookup) -> SpeedQuestion:
    """The question of `POST /api/performance/training`; raises `DomainError`."""
    if values.get("gpu") is None:
        raise invalid("gpu", "is_missing")
    found = training_question({name: value for name, value in values.items() if name not in OWN}, lookup)
    training = cast(TrainingRequest, found.request)
    calibration = calibration_of(values.get("calibration"), "training")
    own = {name: values[name] for name in OWN if name in values}
    request = TrainingSpeedRequest(training, **{**own, "calibration": calibration})
    echoed = {**found.parameters, **dict.fromkeys(OWN), **own}
    gpu = training.gpu
    price = None if gpu is None else gpu.cloud_price
    echoed["price_per_hour"] = None if gpu is None else gpu.price_per_hour
    echoed["price_date"] = None if price is None else price.date
    warnings = tuple(w for w in found.warnings if w.params.get("field") != "gpus_per_node")
    said = said_of(calibration, "" if gpu is None else gpu.name, training.framework)
    return SpeedQuestion(request, echoed, (*warnings, *said))
