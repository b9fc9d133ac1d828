"""Our error in a few figures: median, 90th percentile and worst, by runtime, term and architecture kind."""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, Final

from .evaluate import Row

RESULTS: Final = Path(__file__).with_name("results.json")
SPEED_RESULTS: Final = Path(__file__).with_name("speed.json")


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the sorted values do not exceed, between neighbours.

    >>> quantile([1.0, 2.0, 3.0, 4.0], 0.5)
    2.5
    """
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def describe(rows: Sequence[Row]) -> dict[str, Any]:
    """Absolute relative errors of some rows; `coverage` is the share inside the 90% band."""
    errors = [abs(row.error) for row in rows]
    judged = [row.within for row in rows if row.within is not None]
    by_group = [
        median([abs(r.error) for r in rows if r.group == group]) for group in {row.group for row in rows}
    ]
    return {
        "rows": len(rows),
        "groups": len(by_group),
        "median": round(median(errors), 6),
        "median_of_groups": round(median(by_group), 6),
        "p90": round(quantile(errors, 0.9), 6),
        "worst": round(max(errors), 6),
        "bias": round(median([row.error for row in rows]), 6),
        "coverage": round(sum(judged) / len(judged), 4) if judged else None,
    }


def table(rows: Iterable[Row], key: Callable[[Row], tuple[str, ...]]) -> list[dict[str, Any]]:
    """One line for every value of the key."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return [{"key": list(name), **describe(group)} for name, group in sorted(found.items())]


def report(rows: Sequence[Row], left: Sequence[tuple[Any, str]]) -> dict[str, Any]:
    """Everything as plain data: summaries of rows in view of a rule and of those left out, and each row."""
    seen = [row for row in rows if row.in_view]
    unseen = [row for row in rows if not row.in_view]
    return {
        "in_sample": table(seen, lambda row: (row.runtime, row.term)),
        "left_out": table(unseen, lambda row: (row.runtime, row.term)),
        "by_kind": table(rows, lambda row: (row.runtime, row.term, row.kind)),
        "rows": [
            {
                "run": row.run,
                "model": row.model,
                "runtime": row.runtime,
                "version": row.version,
                "kind": row.kind,
                "term": row.term,
                "measured": row.measured,
                "predicted": round(row.predicted, 4),
                "error": round(row.error, 5),
                "in_sample": row.in_view,
                "within_band": row.within,
                "source": row.source,
            }
            for row in rows
        ],
        "not_compared": [{"run": run.id, "model": run.model, "reason": reason} for run, reason in left],
    }


@cache
def accuracy_report() -> dict[str, Any]:
    """The report as it was when this version was made (`make accuracy` writes it)."""
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


@cache
def speed_report() -> dict[str, Any]:
    """Errors of speeds, in the fit's sample and left out of it (`scripts/accuracy_speed.py` writes it)."""
    found: dict[str, Any] = json.loads(SPEED_RESULTS.read_text(encoding="utf-8"))
    return found
