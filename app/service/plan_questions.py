"""From checked values to a question of what to run a model on."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict, replace

from ..errors import InvalidRequest, Problem, UnknownName, invalid
from ..hardware import Accelerator
from ..memory.requests import Model
from ..messages import Message
from ..planner.requests import (
    MOST_GPUS,
    MOST_OPTIONS,
    Limits,
    Money,
    PlanRequest,
    Targets,
    TrainingPlanRequest,
)
from .calibration_use import said_in_plan
from .lookup import Lookup
from .speed_questions import speed_question
from .training_speed_question import training_speed_question

Values = Mapping[str, Any]

LAYOUT: Final = ("tensor_parallel", "pipeline_parallel", "data_parallel", "expert_parallel")
OWN: Final = (
    "task", "targets", "gpus", "max_gpus", "quantizations", "currency", "exchange_rate", "prices", "options",
)  # fmt: skip
STAND_IN: Final = "h100-sxm-80gb"  # a device for reading the request; the search puts others in its place
ASSUMED_INPUT, ASSUMED_OUTPUT = 1024, 256
ASSUMED_GAP_MS: Final = 100.0
LENGTHS: Final = ("sequence_length", "input_length")
LOADS: Final = ("request_rate", "concurrency", "batch_size")
DOLLARS: Final = "USD"


class PlanQuestion(Struct, frozen=True):
    """A question of the planner, every device there is, the request echoed, and what to warn of."""

    request: PlanRequest | TrainingPlanRequest
    everything: tuple[Accelerator, ...]
    parameters: dict[str, Any]
    warnings: tuple[Message, ...]

    @property
    def model(self) -> Model:
        """The model that is asked about."""
        if isinstance(self.request, PlanRequest):
            return self.request.ask.serving.model
        return self.request.ask.training.model


def plan_question(values: Values, lookup: Lookup) -> PlanQuestion:
    """The question of `POST /api/recommend`; raises `DomainError`."""
    return _training(values, lookup) if values["task"] == "training" else _serving(values, lookup)


def _serving(values: Values, lookup: Lookup) -> PlanQuestion:
    warnings: list[Message] = []
    asked = _asked(values)
    if not any(name in values for name in LENGTHS) and "output_length" not in values:
        asked |= {"input_length": ASSUMED_INPUT, "output_length": ASSUMED_OUTPUT}
        lengths = {"input_length": ASSUMED_INPUT, "output_length": ASSUMED_OUTPUT}
        warnings.append(Message("plan_assumed_lengths", lengths))
    batch = asked.pop("batch_size", None)
    found = speed_question(asked, lookup)
    ask = found.request
    if batch is not None and ask.request_rate is None and ask.concurrency is None:
        ask = replace(ask, concurrency=batch)
    targets = _targets(values, warnings)
    limits, money = _limits(values, lookup, warnings), _money(values, lookup, warnings)
    request = PlanRequest(ask, limits, targets, money, _checkpoint(values, lookup))
    parameters = _echo(values, found.parameters, limits, targets, money)
    warnings.extend(said_in_plan(ask.calibration))
    return PlanQuestion(request, tuple(lookup.gpus), parameters, (*_kept(found.warnings), *warnings))


def _training(values: Values, lookup: Lookup) -> PlanQuestion:
    warnings: list[Message] = []
    asked = _asked(values)
    asked.pop("num_gpus", None)
    found = training_speed_question(asked, lookup)
    targets = _targets(values, None)
    if targets.max_cost is not None or targets.days is not None:
        _needs_tokens(values)
    limits, money = _limits(values, lookup, warnings), _money(values, lookup, warnings)
    request = TrainingPlanRequest(
        found.request, limits, targets, money, "batch_size" in values, "gradient_checkpointing" in values,
        _checkpoint(values, lookup),
    )  # fmt: skip
    parameters = _echo(values, found.parameters, limits, targets, money)
    warnings.extend(said_in_plan(found.request.calibration))
    return PlanQuestion(request, tuple(lookup.gpus), parameters, (*_kept(found.warnings), *warnings))


def _asked(values: Values) -> dict[str, Any]:
    """The request of the calculation itself, on a device that stands in."""
    asked = {name: value for name, value in values.items() if name not in (*OWN, *LAYOUT)}
    return {**asked, "gpu": STAND_IN}


def _kept(warnings: tuple[Message, ...]) -> tuple[Message, ...]:
    """Without what is said of the device that stands in, and of fields that the layouts need."""
    idle = ("fsdp", "zero_stage", "sequence_parallel", "gpus_per_node", "batch_size", "expert_imbalance")
    of_one = ("calibration_used", "calibration_idle")
    return tuple(w for w in warnings if w.params.get("field") not in idle and w.code not in of_one)


def _needs_tokens(values: Values) -> None:
    if values.get("tokens") is None:
        raise invalid("tokens", "is_missing")


def _targets(values: Values, warnings: list[Message] | None) -> Targets:
    """Those given; for serving without any and without a load, a pace that people read at."""
    given = values.get("targets")
    if given is not None:
        return Targets(**{name: value for name, value in given.items() if value is not None})
    if warnings is None or any(values.get(name) is not None for name in LOADS):
        return Targets()
    warnings.append(Message("plan_assumed_target", {"tpot_ms": f"{ASSUMED_GAP_MS:g}"}))
    return Targets(tpot_ms=ASSUMED_GAP_MS)


def _limits(values: Values, lookup: Lookup, warnings: list[Message]) -> Limits:
    names = values.get("gpus")
    gpus = tuple(lookup.gpus) if names is None else _named(names, lookup, warnings)
    most = values.get("max_gpus") or MOST_GPUS
    if values["task"] == "training" and values.get("num_gpus"):
        most = values["num_gpus"]
    return Limits(
        gpus,
        most,
        tensor_parallel=values.get("tensor_parallel"),
        pipeline_parallel=values.get("pipeline_parallel"),
        data_parallel=values.get("data_parallel"),
        expert_parallel=values.get("expert_parallel"),
        backend=values.get("backend"),
        quantizations=tuple(values.get("quantizations") or ()),
        options=values.get("options") or MOST_OPTIONS,
    )


def _named(names: Any, lookup: Lookup, warnings: list[Message]) -> tuple[Accelerator, ...]:
    """Devices by name, each once; every unknown name is a problem of its own."""
    found: dict[str, Accelerator] = {}
    for index, name in enumerate(names):
        try:
            match = lookup.gpu(name)
        except UnknownName as error:
            path = f"gpus[{index}]"
            raise UnknownName(error.message, error.closest, [Problem(path, error.message)]) from error
        found[match.accelerator.name] = match.accelerator
        warnings.extend(match.warnings)
    return tuple(found.values())


def _money(values: Values, lookup: Lookup, warnings: list[Message]) -> Money:
    currency = values.get("currency") or DOLLARS
    rate = values.get("exchange_rate")
    if currency != DOLLARS and rate is None:
        raise invalid("exchange_rate", "plan_needs_rate", currency=currency)
    if currency == DOLLARS and rate not in (None, 1):
        message = Message("plan_rate_without_currency", {"field": "exchange_rate"})
        raise InvalidRequest(message, [Problem("exchange_rate", message)])
    own = {lookup.gpu(name).accelerator.name: price for name, price in (values.get("prices") or {}).items()}
    return Money(currency, rate or 1.0, own)


def _checkpoint(values: Values, lookup: Lookup) -> str:
    """What launch commands load: the hub id, else a folder by the model's name."""
    if "model_name" not in values:
        return "./model"
    entry = lookup.named(values["model_name"]).entry
    return entry.repo_id or entry.name


def _echo(
    values: Values, read: Mapping[str, Any], limits: Limits, targets: Targets, money: Money
) -> dict[str, Any]:
    """The request with its defaults; what is searched is null."""
    hidden = ("gpu", "price_per_hour", "price_date", "batch_size", "num_gpus", *LAYOUT)
    echoed = {name: value for name, value in read.items() if name not in hidden}
    return {
        **echoed,
        "task": values["task"],
        **{name: values.get(name) for name in LAYOUT},
        "batch_size": values.get("batch_size"),
        "backend": values.get("backend") if values["task"] == "inference" else None,
        "gpus": values.get("gpus"),
        "max_gpus": limits.max_gpus,
        "quantizations": list(limits.quantizations) or None,
        "targets": asdict(targets),
        "currency": money.currency,
        "exchange_rate": money.rate,
        "options": limits.options,
    }
