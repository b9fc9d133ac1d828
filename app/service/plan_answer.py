"""From a plan to the answer that people and programs read."""

from collections.abc import Mapping
from typing import Any, Final

from ..memory.requests import Model
from ..messages import Language, Message
from ..planner.candidates import nodes
from ..planner.launch import serving_launch
from ..planner.launch_training import training_launch
from ..planner.reasons import why
from ..planner.requests import Option, Plan, PlanRequest, TrainingPlanRequest
from ..units import human
from .answer import Style, describe_model, warning

DIGITS: Final = 6

Request = PlanRequest | TrainingPlanRequest


def render_plan(
    model: Model, plan: Plan, request: Request, parameters: Mapping[str, Any], style: Style,
    warnings: tuple[Message, ...] = (), *, launch: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """The whole answer, as plain data."""
    return {
        "task": "inference" if isinstance(request, PlanRequest) else "training",
        "model": describe_model(model),
        "parameters": dict(parameters),
        "options": [
            _option(rank, option, plan, request, style, launch) for rank, option in enumerate(plan.options, 1)
        ],
        "rejected": [
            {"gpu": each.gpu, "code": each.reason.code, "reason": _said(each.reason, style),
             "params": dict(each.reason.params)}
            for each in plan.rejected
        ],
        "change": _change(plan.change, style.language),
        "searched": {"looked_at": plan.looked_at, "worked_out": plan.worked_out},
        "warnings": [warning(message, style.language) for message in (*warnings, *plan.warnings)],
    }  # fmt: skip


def _said(message: Message, style: Style) -> str:
    """A reason for people: sizes in its values in their unit."""
    sizes = ("least", "usable")
    params = {n: human(v, style.unit) if n in sizes else v for n, v in message.params.items()}
    return Message(message.code, params).text(style.language)


def _option(
    rank: int, option: Option, plan: Plan, request: Request, style: Style, launch: bool
) -> dict[str, Any]:
    per_node = _per_node(request)
    layout = option.layout
    answer: dict[str, Any] = {
        "rank": rank,
        "gpu": {"name": option.gpu.name, "label": option.gpu.label, "vendor": option.gpu.vendor},
        "num_gpus": layout.gpus,
        "nodes": nodes(option.gpu, layout.gpus, per_node),
        "layout": {
            "tensor_parallel": layout.tensor,
            "pipeline_parallel": layout.pipeline,
            "data_parallel": layout.data,
            "expert_parallel": layout.expert,
            "context_parallel": layout.context,
        },
        "precision": option.precision,
        "quantization": option.quantization,
        "bits_per_parameter": _rounded(option.bits),
        "batch_size": option.batch,
        "performance": {name: _rounded(value) for name, value in option.figures.items()},
        "memory": _memory(option, style),
        "price": _price(option, request),
        "on_front": option.on_front,
        "why": [warning(message, style.language) for message in why(option, plan.options, per_node)],
    }
    if isinstance(request, PlanRequest):
        answer["backend"] = option.backend
    else:
        answer["framework"] = option.backend
        answer["settings"] = dict(option.settings)
    if launch:
        answer["launch"] = _launch(option, request)
    return answer


def _launch(option: Option, request: Request) -> dict[str, Any]:
    if isinstance(request, PlanRequest):
        return serving_launch(option, request)
    return training_launch(option, request)


def _per_node(request: Request) -> int:
    if isinstance(request, PlanRequest):
        return request.ask.serving.gpus_per_node
    return request.ask.training.gpus_per_node


def _memory(option: Option, style: Style) -> dict[str, Any]:
    return {
        "needed_bytes": option.need,
        "usable_bytes": option.usable,
        "headroom_bytes": option.headroom,
        "utilization": _rounded(option.need / option.usable),
        "needed": human(option.need, style.unit),
        "headroom": human(option.headroom, style.unit),
    }


def _price(option: Option, request: Request) -> dict[str, Any] | None:
    """Of all GPUs of the option; None where no price is known."""
    if option.price is None:
        return None
    written = option.figures.get("output_tokens_per_sec")
    per_output = option.price / (3600 * written) * 1e6 if written else None
    return {
        "per_hour": _rounded(option.price),
        "per_million_tokens": _rounded(option.cost),
        "per_million_output_tokens": _rounded(per_output),
        "currency": request.money.currency,
        "date": request.money.date(option.gpu),
    }


def _change(change: Mapping[str, Any] | None, language: Language) -> dict[str, Any] | None:
    """The single change, as the fields to send again, with a sentence and what it gives."""
    if change is None:
        return None
    fields, option = change["fields"], change["option"]
    name, value = next(iter(fields.items()))
    code = "plan_change_any_gpu" if value is None else "plan_change"
    params = {"field": name, "value": value, "gpu": option.gpu.name, "count": option.layout.gpus}
    message = Message(code, params)
    return {"fields": dict(fields), "message": message.text(language), "gpu": option.gpu.name,
            "num_gpus": option.layout.gpus}  # fmt: skip


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")
