"""Our error on published speeds, in the fit's sample and with device and source left out; `make accuracy`.

Prints both by figure, GPU, runtime and kind of model, writes the summary that GET /api/accuracy serves, and
the 90% bands into `app/performance/coefficients.json` (`scripts/speed_bands.py`).
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from math import log
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from speed_bands import Distance, bands_of  # noqa: E402
from speed_cases import Case, Coefficients, predicted, read_cases  # noqa: E402

from app.accuracy.summary import SPEED_RESULTS, quantile  # noqa: E402
from app.performance.bands import Regime, load_of  # noqa: E402
from app.performance.coefficients import FILE  # noqa: E402

HELD_OUT = ROOT / "validation" / "accuracy_speed.json"
RATES = (
    "throughput_tokens_per_sec",
    "output_tokens_per_sec",
    "prompt_tokens_per_sec",
    "generated_tokens_per_sec",
)
# How near we want to be: median and, where it is set, 90th percentile, with device or source left out.
GOALS: Mapping[str, tuple[float, float | None]] = {
    "static throughput": (0.09, None),
    "throughput under load": (0.05, None),
    "time per token": (0.12, 0.30),
    "time to first token": (0.25, None),
    "llama.cpp generation": (0.08, None),
    "llama.cpp prompt": (0.13, None),
}


def figure(case: Case) -> str:
    """What is measured, and under which load."""
    load = regime(case, True).load
    if case.llama:
        return "llama.cpp " + ("prompt" if case.metric == "prompt_tokens_per_sec" else "generation")
    if case.metric == "ttft_ms":
        return "time to first token" + (", flooded" if load == "flooded" else "")
    if case.metric in ("tpot_ms", "itl_ms", "tpot_ms_all_tokens"):
        return "time per token" + (", flooded" if load == "flooded" else "")
    if case.metric == "e2e_latency_ms":
        return "end-to-end latency" + (", flooded" if load == "flooded" else "")
    if load == "flooded":
        return "throughput, flooded"
    return "throughput under load" if load == "served" else "static throughput"


def kind(case: Case) -> str:
    """What bands are told apart by."""
    if case.llama:
        return "llama.cpp"
    return "experts" if any(w.experts for s in case.setup.engine.stages for w in s.works) else "dense"


def regime(case: Case, known: bool) -> Regime:
    """Which band a row takes, where rows of its runtime and class of device were left in the fit or not."""
    request = case.setup.request
    batch = request.request_rate is None and request.concurrency is None
    return Regime(load_of(batch, request.concurrency), kind(case), known)


def regimes(case: Case, known: bool) -> tuple[str, ...]:
    """The bands that a row may take, the closest first; llama.cpp has none in common with servers."""
    found = regime(case, known).keys(band_figure(case))
    return tuple(key for key in found if not case.llama or key.split("/")[1:2] == ["llama.cpp"])


def band_figure(case: Case) -> str:
    """The figure of an answer that a row speaks of."""
    if case.metric in ("ttft_ms", "prompt_tokens_per_sec"):
        return "ttft_ms"
    if case.metric in RATES and not case.llama:
        return "throughput_tokens_per_sec"
    return "tpot_ms"


def excess(case: Case, value: float) -> float:
    """Measured over predicted, of a rate where the figure is one, else of a time."""
    ratio = case.measured / value
    return 1 / ratio if case.metric in RATES and "throughput" not in band_figure(case) else ratio


def group(case: Case) -> str:
    """What was left out together."""
    return f"{case.group} on {case.gpu}"


def left(cases: Sequence[Case]) -> dict[str, bool]:
    """Whether each row's runtime, front and class of device had other rows when its group was left out."""
    parts: dict[tuple[str, str], set[str]] = {}
    for case in cases:
        for part in parts_of(case):
            parts.setdefault(part, set()).add(group(case))
    return {case.id: all(len(parts[part]) > 1 for part in parts_of(case)) for case in cases}


def parts_of(case: Case) -> list[tuple[str, str]]:
    """The tables and rows of coefficients that a row rests on."""
    if case.llama:
        return [("llama", case.device)]
    return [("device", case.device), ("runtime", case.runtime)] + [("front", case.server)] * bool(case.server)


def distances(
    cases: Sequence[Case], answers: Mapping[str, float], known: Mapping[str, bool]
) -> list[Distance]:
    """How far each row lay from what a fit without its group predicted."""
    return [
        Distance(group(case), regimes(case, known[case.id]), abs(log(excess(case, answers[case.id]))))
        for case in cases
    ]


def held(case: Case, bands: Mapping[str, Sequence[float]], value: float, known: bool) -> bool:
    """Whether the band holds a row."""
    low, high = next(bands[key] for key in regimes(case, known) if key in bands)
    return low <= excess(case, value) <= high


def coverage(cases: Sequence[Case], answers: Mapping[str, float]) -> dict[str, bool]:
    """Whether each row is held by the band that its own source and device did not make."""
    known, inside = left(cases), {}
    rows = distances(cases, answers, known)
    for name in {group(case) for case in cases}:
        bands = bands_of([row for row in rows if row.group != name])
        for case in cases:
            if group(case) == name:
                inside[case.id] = held(case, bands, answers[case.id], known[case.id])
    return inside


def table(
    cases: Sequence[Case],
    answers: Mapping[str, float],
    inside: Mapping[str, bool],
    key: Callable[[Case], str],
) -> list[dict[str, Any]]:
    """One line for each figure and value of the key."""
    found: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        found.setdefault((figure(case), key(case)), []).append(case)
    return [{"key": list(name), **line(rows, answers, inside)} for name, rows in sorted(found.items())]


def line(rows: Sequence[Case], answers: Mapping[str, float], inside: Mapping[str, bool]) -> dict[str, Any]:
    """Errors of some rows."""
    errors = [answers[case.id] / case.measured - 1 for case in rows]
    sizes = [abs(error) for error in errors]
    return {
        "rows": len(rows),
        "groups": len({group(case) for case in rows}),
        "median": round(median(sizes), 4),
        "p90": round(quantile(sizes, 0.9), 4),
        "bias": round(median(errors), 4),
        "coverage": round(sum(inside[case.id] for case in rows) / len(rows), 3),
    }


def show(title: str, lines: Sequence[Mapping[str, Any]]) -> None:
    """A table for people."""
    print(f"\n{title}: rows, groups, median, p90, bias, inside the band")
    for each in lines:
        name = " / ".join(part for part in each["key"] if part)
        goal, tail = GOALS.get(name, (None, None))
        missed = goal is not None and (each["median"] > goal or (tail is not None and each["p90"] > tail))
        print(
            f"  {name[:66]:<66} {each['rows']:>4} {each['groups']:>3} {each['median']:>7.1%} "
            f"{each['p90']:>8.1%} {each['bias']:>+7.1%} {each['coverage']:>5.0%}"
            f"{'  above the goal' if missed else ''}"
        )


def main() -> int:
    """Evaluate, print, write."""
    every = read_cases()
    cases = [case for case in every if not case.excluded]
    now = {case.id: predicted(case, Coefficients.current()) for case in cases}
    known = json.loads(HELD_OUT.read_text(encoding="utf-8"))["left_out"]
    unseen = [case for case in cases if case.id in known]
    inside = coverage(unseen, known)
    bands = bands_of(distances(unseen, known, left(unseen)))
    in_band = {case.id: held(case, bands, now[case.id], True) for case in cases}
    keys: dict[str, Callable[[Case], str]] = {
        "": lambda case: "",
        " by GPU": lambda case: case.gpu,
        " by runtime": lambda case: case.runtime,
        " by kind": lambda case: case.kind,
    }
    found: dict[str, Any] = {}
    for name, key in keys.items():
        found["in_sample" + name.replace(" ", "_").lower()] = table(cases, now, in_band, key)
        found["left_out" + name.replace(" ", "_").lower()] = table(unseen, known, inside, key)
        show("speed, in the fit's sample" + name, found["in_sample" + name.replace(" ", "_").lower()])
        show("speed, device and source left out" + name, found["left_out" + name.replace(" ", "_").lower()])
    found["excluded"] = excluded(every)
    found["coverage"] = round(sum(inside.values()) / max(len(inside), 1), 3)
    print(f"\nbands hold {found['coverage']:.1%} of the rows left out; excluded: {found['excluded']}")
    SPEED_RESULTS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    data = json.loads(FILE.read_text(encoding="utf-8"))
    data["bands"] = bands
    FILE.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def excluded(every: Sequence[Case]) -> dict[str, int]:
    """How many rows were not compared, by reason."""
    found: dict[str, int] = {}
    for case in every:
        if case.excluded:
            found[case.excluded] = found.get(case.excluded, 0) + 1
    return found


if __name__ == "__main__":
    sys.exit(main())
