"""A plan searched; where nothing holds, the single change that would."""

from msgspec.structs import replace

from ..messages import Message
from ..planner.changes import MOST_TRIED, first_change, for_serving, for_training
from ..planner.requests import Plan, PlanRequest
from ..planner.search import plan
from ..planner.training_search import plan_training
from .plan_questions import PlanQuestion


def recommend(question: PlanQuestion) -> Plan:
    """Options, best first; raises `DomainError`."""
    request = question.request
    if isinstance(request, PlanRequest):
        found = plan(request)
        if found.options:
            return found
        change = first_change(for_serving(request, question.everything), lambda r: plan(r, MOST_TRIED))
    else:
        found = plan_training(request)
        if found.options:
            return found
        change = first_change(for_training(request, question.everything), plan_training)
    if change is None:
        return replace(found, warnings=(Message("plan_nothing"),))
    return replace(found, change={"fields": change[0], "option": change[1]})
