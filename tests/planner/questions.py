"""Plans for the tests: a model, a few accelerators, and targets."""

from functools import cache
from typing import Any

from app.hardware import Accelerator
from app.planner.requests import Plan, PlanRequest, TrainingPlanRequest
from app.planner.search import plan
from app.planner.training_search import plan_training
from app.service.lookup import Lookup
from app.service.plan_questions import plan_question
from app.settings import read_settings

SOME = ["h100-sxm-80gb", "a100-sxm-80gb", "l40s", "rtx-4090", "mi300x-192gb", "m3-max-128gb"]


@cache
def lookup() -> Lookup:
    return Lookup(read_settings({}))


def gpu(name: str) -> Accelerator:
    return lookup().gpu(name).accelerator


def serving(model: str = "Qwen3-8B", **fields: Any) -> PlanRequest:
    values = {"task": "inference", "model_name": model, "input_length": 1024, "output_length": 256,
              "gpus": SOME, "targets": {}, **fields}  # fmt: skip
    request = plan_question(values, lookup()).request
    assert isinstance(request, PlanRequest)
    return request


def training(model: str = "Qwen3-8B", **fields: Any) -> TrainingPlanRequest:
    values = {"task": "training", "model_name": model, "gpus": SOME, "mixed_precision": "bf16", **fields}
    request = plan_question(values, lookup()).request
    assert isinstance(request, TrainingPlanRequest)
    return request


def planned(model: str = "Qwen3-8B", **fields: Any) -> Plan:
    return plan(serving(model, **fields))


def trained(model: str = "Qwen3-8B", **fields: Any) -> Plan:
    return plan_training(training(model, **fields))
