"""Answers on memory as tables: parts, whether it fits, ranks, the timeline, where each term comes from."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from ..units import human
from .output import table, text, warnings
from .session import Answer, Session

if TYPE_CHECKING:
    from rich.console import RenderableType

_BAR: Final = 20  # [characters]
_TOTALS: Final = ("inference_memory", "training_memory")


def memory_tables(session: Session, answer: Answer, *, verbose: bool = False) -> Iterator["RenderableType"]:
    """Everything of an answer on memory that people read first."""
    yield parts(session, answer)
    if "timeline" in answer:
        yield _timeline(session, answer)
    if len(answer["per_gpu"]) > 1:
        yield _ranks(session, answer)
    if "fit" in answer:
        yield fit_line(session, answer)
        yield from _capacity(session, answer)
    if verbose:
        yield _explanation(session, answer)
        yield _parameters(session, answer)
    yield from warnings(answer)


def memory_rows(answer: Answer) -> Iterator[Mapping[str, Any]]:
    """One row for each part of one GPU's memory [bytes]."""
    ranges = answer.get("memory_range_bytes") or {}
    for name, size in answer["memory_bytes"].items():
        band = ranges.get(name) or {}
        cluster = answer["cluster_bytes"].get(name)
        yield {
            "part": name,
            "bytes": size,
            "low": band.get("low"),
            "high": band.get("high"),
            "cluster": cluster,
        }


def parts(session: Session, answer: Answer) -> "RenderableType":
    """What one GPU holds, by part."""
    sizes, ranges, unit = answer["memory_bytes"], answer.get("memory_range_bytes") or {}, _unit(answer)
    total = next((sizes[name] for name in _TOTALS if name in sizes), 0)
    rows = [
        (name, human(size, unit), _band(ranges.get(name), unit), bar(size / total if total else 0))
        for name, size in sizes.items()
    ]
    columns = [session.say(word) for word in ("part", "size", "band", "share")]
    return table(f"{_title(answer)} · {session.say('one_gpu')}", columns, rows)


def bar(share: float) -> str:
    """A share as a bar and a percentage.

    >>> bar(0.5)
    '██████████            50%'
    """
    full = round(max(0.0, min(1.0, share)) * _BAR)
    return f"{'█' * full}{' ' * (_BAR - full)} {share:>4.0%}"


def fit_line(session: Session, answer: Answer) -> str:
    """Whether it fits, in one line; empty where no accelerator was named."""
    fit = answer.get("fit")
    if fit is None:
        return ""
    unit = _unit(answer)
    code = "fits" if fit["fits"] else "does_not_fit"
    free = human(abs(fit["free_bytes"]), unit)
    return session.say(code, free=free, usable=human(fit["usable_bytes"], unit))


def _capacity(session: Session, answer: Answer) -> Iterator["RenderableType"]:
    capacity = {name: value for name, value in (answer.get("capacity") or {}).items() if value is not None}
    rows = [(name, text(value)) for name, value in capacity.items() if isinstance(value, int | float)]
    if rows:
        yield table("", [session.say("capacity"), ""], rows)


def _title(answer: Answer) -> str:
    model = answer["model"]
    counts = model["parameters"]
    active = f", {text(counts['active'])} active" if counts["active"] != counts["total"] else ""
    return f"{model['name']} · {text(counts['total'])} parameters{active}"


def _unit(answer: Answer) -> Any:
    return answer["parameters"].get("unit", "GB")


def _band(band: Mapping[str, int] | None, unit: Any) -> str:
    return f"{human(band['low'], unit)[: -len(unit) - 1]} – {human(band['high'], unit)}" if band else ""


def _timeline(session: Session, answer: Answer) -> "RenderableType":
    peak = max((each["bytes"] for each in answer["timeline"]), default=1) or 1
    mark = {answer.get("peak_phase"): " ▲"}
    rows = [
        (f"{name}{mark.get(name, '')}", human(size, _unit(answer)), bar(size / peak))
        for name, size in ((each["phase"], each["bytes"]) for each in answer["timeline"])
    ]
    return table(session.say("timeline"), [session.say(word) for word in ("phase", "size", "share")], rows)


def _ranks(session: Session, answer: Answer) -> "RenderableType":
    unit = _unit(answer)
    rows = [
        (each["role"], each["gpus"], human(list(each["memory_bytes"].values())[-1], unit))
        for each in answer["per_gpu"]
    ]
    return table(session.say("ranks"), [session.say(word) for word in ("role", "gpus", "size")], rows)


def _explanation(session: Session, answer: Answer) -> "RenderableType":
    unit = _unit(answer)
    rows = [
        (each["term"], human(each["bytes"], unit), each["formula"], _values(each["values"]))
        for each in answer.get("explanation") or ()
    ]
    columns = [session.say(word) for word in ("part", "size", "formula", "values")]
    return table(session.say("explanation"), columns, rows, left=4)


def _parameters(session: Session, answer: Answer) -> "RenderableType":
    rows = [
        (name, text(value))
        for name, value in answer["parameters"].items()
        if value is not None and name != "config"
    ]
    return table(session.say("parameters"), [session.say("field"), session.say("value")], rows, left=2)


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {text(value)}" for name, value in values.items())
