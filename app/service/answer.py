"""From an estimate to the answer that people and programs read: exact integers, and strings beside them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from ..memory.estimate import Estimate, Fit, Rank, Term
from ..memory.requests import Model
from ..messages import Language, Message, catalogue
from ..units import Unit, human

# Of a training answer the strings show each of these at its own largest moment, not at the peak's.
SHOWN_AT_MAXIMUM: Final = ("model_weights", "gradients", "optimizer_states", "activation_memory")

_FIT: Final = Fit.__struct_fields__


class Style(Struct, frozen=True):
    """How an answer is written: the reader's language, the unit of strings, whether terms are explained."""

    language: Language = "en"
    unit: Unit = "GB"
    explain: bool = True


def render(
    calculation: str,
    model: Model,
    estimate: Estimate,
    parameters: Mapping[str, Any],
    style: Style,
    warnings: Iterable[Message] = (),
) -> dict[str, Any]:
    """The whole answer of one calculation, as plain data; `parameters` are the request's, resolved."""
    fullest = estimate.fullest
    total_name = estimate.total_name
    needed = needed_bytes(estimate)
    answer = {
        "calculation_type": calculation,
        "model": describe_model(model, estimate.extra.get("trainable_parameters")),
        "parameters": {**parameters, **estimate.parameters},
        "memory_requirements": _strings(needed, estimate.extra.get("maxima_bytes"), style.unit),
        "memory_bytes": needed,
        "cluster_bytes": _cluster(estimate, needed),
        "per_gpu": [_rank(rank, total_name) for rank in estimate.ranks],
    }
    if style.explain:
        answer["explanation"] = [explain(term, style.language) for term in fullest.terms]
    answer["warnings"] = [warning(message, style.language) for message in (*warnings, *estimate.warnings)]
    if ranges := _ranges(fullest, total_name):
        answer["memory_range_bytes"] = ranges
    if estimate.fit is not None:
        answer["fit"] = {name: getattr(estimate.fit, name) for name in _FIT}
    answer.update((key, value) for key, value in estimate.extra.items() if key != "trainable_parameters")
    return answer


def needed_bytes(estimate: Estimate) -> dict[str, int]:
    """What the fullest rank needs, by component and in total."""
    return _with_total(estimate.fullest.sizes, estimate.total_name)


def describe_model(model: Model, trainable: object = None) -> dict[str, Any]:
    """Name, type and parameter counts of the model that an answer is about."""
    count = model.architecture.parameters
    total, active = count.total, count.active
    if model.size_billions is not None:
        scale = model.size_billions * 1e9
        total, active = round(scale), round(scale)
    parameters: dict[str, Any] = {"total": total, "active": active}
    if trainable is not None:
        parameters["trainable"] = trainable
    return {"name": model.name, "model_type": model.architecture.model_type, "parameters": parameters}


def warning(message: Message, language: Language) -> dict[str, Any]:
    """A warning as plain data: stable code, a sentence, the values in it."""
    return {"code": message.code, "message": message.text(language), "params": dict(message.params)}


def explain(term: Term, language: Language) -> dict[str, Any]:
    """Where one term comes from; a formula that is a code of the catalogue is put into words."""
    texts = catalogue().get(term.formula)
    formula = Message(term.formula, term.values).text(language) if texts else term.formula
    values = dict(term.values)
    return {
        "term": term.name,
        "formula": formula,
        "values": values,
        "bytes": term.bytes,
        "source": term.source,
    }


def _with_total(sizes: Mapping[str, int], total_name: str) -> dict[str, int]:
    return {**sizes, total_name: sum(sizes.values())}


def _cluster(estimate: Estimate, needed: Mapping[str, int]) -> dict[str, int]:
    sums = dict.fromkeys(needed, 0)
    for rank in estimate.ranks:
        for name, size in _with_total(rank.sizes, estimate.total_name).items():
            sums[name] = sums.get(name, 0) + size * rank.count
    return sums


def _rank(rank: Rank, total_name: str) -> dict[str, Any]:
    return {
        "role": rank.role,
        "gpus": rank.count,
        "memory_bytes": _with_total(rank.sizes, total_name),
    }


def _strings(needed: Mapping[str, int], maxima: object, unit: Unit) -> dict[str, str]:
    shown = dict(needed)
    if isinstance(maxima, Mapping):
        shown.update({name: maxima[name] for name in SHOWN_AT_MAXIMUM if name in maxima})
    return {name: human(size, unit) for name, size in shown.items()}


def _ranges(rank: Rank, total_name: str) -> dict[str, dict[str, int]]:
    if all(term.low is None and term.high is None for term in rank.terms):
        return {}
    low: dict[str, int] = {}
    high: dict[str, int] = {}
    for term in rank.terms:
        low[term.name] = low.get(term.name, 0) + (term.bytes if term.low is None else term.low)
        high[term.name] = high.get(term.name, 0) + (term.bytes if term.high is None else term.high)
    low, high = _with_total(low, total_name), _with_total(high, total_name)
    return {name: {"low": low[name], "high": high[name]} for name in low}


def side_by_side(results: Sequence[Mapping[str, Any]], by: str, compared: Sequence[str]) -> dict[str, Any]:
    """Positions of the smallest and largest figure, and the main figures of each; null where one failed."""
    known = {place: each[by] for place, each in enumerate(results) if by in each}
    return {
        "by": by,
        "smallest": min(known, key=known.__getitem__, default=None),
        "largest": max(known, key=known.__getitem__, default=None),
        "differences": [{"field": name, "values": [each.get(name) for each in results]} for name in compared],
    }
