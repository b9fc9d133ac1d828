"""Fit `app/performance/coefficients.json` to `validation/performance.jsonl` (extra `fit`).

    python scripts/fit_speed.py            fit, leave each source and device out in turn, write both files
    python scripts/fit_speed.py --fit      fit only

Least squares on the logarithm of measured over predicted with a soft-L1 loss; every source and device
weighs as at most 25 rows; log-normal priors hold what no row moves. Devices of one class share their
efficiencies, which is what makes a device that was left out predictable.
"""

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import least_squares

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "scripts"))

from speed_cases import Case, Coefficients, predicted, read_cases  # noqa: E402

from app.performance.coefficients import FILE, coefficients, version_key  # noqa: E402

HELD_OUT = ROOT / "validation" / "accuracy_speed.json"
MOST_ROWS = 25  # what one source and device weighs
NOISE = 0.1  # of one row
ROUNDS_LEFT_OUT = 5  # from the fit of all rows, which is near
NOISIER = {"gpustack": 4.0}  # first runs, kernels not tuned yet: how much wider one source scatters
STEP = 1e-3  # of a parameter's logarithm, for the derivative

# How far a row may move a coefficient from what it starts at: standard deviations of its logarithm.
DEVICE_PRIORS = {"bw": 0.15, "narrow_bw": 0.1, "ff": 0.15, "fq": 0.15, "kv": 0.3, "fa": 0.3, "layer_us": 0.4}
RUNTIME_PRIORS = {
    "step_ms": 1.0, "sequence_us": 1.2, "stream_us": 0.35, "repeated": 1.2, "serial_ns": 0.5,
    "message_us": 0.4, "chunk_ms": 0.6, "start_ms": 0.8, "experts": 0.5,
}  # fmt: skip
LLAMA_PRIORS = {
    "bw": 0.3, "cq": 0.6, "kv": 0.5, "layer_us": 0.5, "ff": 0.5, "fq": 0.2, "score_bytes": 0.6,
    "experts": 0.4,
}  # fmt: skip
MOST = {
    "bw": 0.95,
    "narrow_bw": 1.0,
    "ff": 0.92,
    "fq": 1.0,
    "kv": 0.95,
    "fa": 0.92,
    "experts": 1.0,
}  # physics
Key = tuple[str, str, str]


@dataclass
class Problem:
    """Coefficients that are free, each with its prior, and the cases that see them."""

    start: dict[Key, float]
    spread: dict[Key, float]

    @property
    def keys(self) -> list[Key]:
        """In order."""
        return list(self.start)

    def at(self, logs: Sequence[float]) -> Coefficients:
        """Coefficients for a vector of logarithms."""
        table = Coefficients(Coefficients.priors().data)
        for key, value in zip(self.keys, logs, strict=True):
            table.put(key, float(np.exp(value)))
        return table


def problem(cases: Iterable[Case]) -> Problem:
    """The coefficients that these cases see, starting from their priors."""
    table = Coefficients.priors()
    start, spread = {}, {}
    for case in cases:
        for key in keys_of(case):
            value = table.get(key)
            if value > 0:
                start[key], spread[key] = value, prior(key)
    return Problem(start, spread)


def prior(key: Key) -> float:
    """Standard deviation of a coefficient's logarithm."""
    table = {"devices": DEVICE_PRIORS, "runtimes": RUNTIME_PRIORS, "llama_cpp": LLAMA_PRIORS}[key[0]]
    return table[key[2]]


def keys_of(case: Case) -> list[Key]:
    """The coefficients that one case sees."""
    if case.llama:
        return [("llama_cpp", case.device, name) for name in LLAMA_PRIORS]
    device = [("devices", case.device, name) for name in DEVICE_PRIORS]
    return device + [("runtimes", case.runtime, name) for name in RUNTIME_PRIORS]


def fit(
    cases: Sequence[Case], start: Mapping[Key, float] | None = None, rounds: int = 9
) -> tuple[Problem, np.ndarray]:
    """The best coefficients for these cases."""
    free = problem(cases)
    keys = free.keys
    place = {key: i for i, key in enumerate(keys)}
    seen = [[place[key] for key in keys_of(case) if key in place] for case in cases]
    counts = Counter((case.group, case.gpu) for case in cases)
    weight = np.array(
        [
            sqrt(min(1.0, MOST_ROWS / counts[case.group, case.gpu])) / NOISE / NOISIER.get(case.group, 1.0)
            for case in cases
        ]
    )
    first = np.array([log(free.start[key]) for key in keys])
    spread = np.array([free.spread[key] for key in keys])
    begin = np.array([log((start or free.start).get(key, free.start[key])) for key in keys])

    def errors(x: np.ndarray) -> np.ndarray:
        table = free.at(x)
        found = np.array([log(predicted(case, table) / case.measured) for case in cases])
        return np.concatenate([found * weight, (x - first) / spread])

    def slopes(x: np.ndarray) -> np.ndarray:
        table = free.at(x)
        rows = np.zeros((len(cases) + len(keys), len(keys)))
        base = np.array([log(predicted(case, table)) for case in cases])
        users = defaultdict(list)
        for number, places in enumerate(seen):
            for i in places:
                users[i].append(number)
        for i, key in enumerate(keys):
            before = table.get(key)
            table.put(key, before * float(np.exp(STEP)))
            for number in users[i]:
                rows[number, i] = (
                    (log(predicted(cases[number], table)) - base[number]) / STEP * weight[number]
                )
            table.put(key, before)
            rows[len(cases) + i, i] = 1 / spread[i]
        return rows

    most = np.array([log(MOST[key[2]]) if key[2] in MOST else np.inf for key in keys])
    begin = np.minimum(begin, most - 1e-3)
    found = least_squares(
        errors,
        begin,
        jac=slopes,
        loss="soft_l1",
        max_nfev=rounds,
        xtol=1e-3,
        ftol=1e-3,
        bounds=(-np.inf, most),
    )
    return free, found.x


def left_out(
    cases: Sequence[Case], by: Callable[[Case], str], whole: Mapping[Key, float]
) -> dict[str, float]:
    """Every case predicted by a fit that saw none of its group."""
    answers = {}
    for name in sorted({by(case) for case in cases}):
        held = [case for case in cases if by(case) == name]
        table = without(held, [case for case in cases if by(case) != name], whole)
        for case in held:
            answers[case.id] = predicted(case, table)
        print(f"  without {name}: {len(held)} rows", flush=True)
    return answers


def without(held: Sequence[Case], inside: Sequence[Case], whole: Mapping[Key, float]) -> Coefficients:
    """The coefficients that the service would use for the cases held back, had nobody measured them."""
    touched = {key for case in held for key in keys_of(case)}
    lost = {case.runtime for case in held if not case.llama} - {case.runtime for case in inside}
    kin = {name: neighbour(name, inside) for name in lost}
    near = [case for case in inside if case.runtime in kin.values() or touched & set(keys_of(case))]
    if not near:
        table = Coefficients(Coefficients.priors().data)
    else:
        free, x = fit(near, whole, ROUNDS_LEFT_OUT)
        table = free.at(x)
    for key in touched - {key for case in near for key in keys_of(case)}:
        table.put(key, Coefficients.priors().get(key))
    for runtime, other in kin.items():
        for field in RUNTIME_PRIORS if other else ():
            table.put(("runtimes", runtime, field), table.get(("runtimes", str(other), field)))
    return table


def neighbour(name: str, cases: Iterable[Case]) -> str | None:
    """The runtime's row nearest in version that other rows measured: what the service would fall back to."""
    rows = coefficients()["runtimes"]
    own = next(row for row in rows if row["name"] == name)
    seen = {case.runtime for case in cases}
    kin = [row for row in rows if row["backend"] == own["backend"] and row["name"] in seen]
    place = version_key(own["since"])
    return min(kin, key=lambda row: abs(number(version_key(row["since"])) - number(place)), default={}).get(
        "name"
    )


def number(version: tuple[int, ...]) -> float:
    """A version on a line."""
    return sum(part / 100**place for place, part in enumerate(version))


def main() -> int:
    """Fit, cross-validate, write."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--fit", action="store_true", help="fit only")
    only = arguments.parse_args().fit
    cases = [case for case in read_cases() if not case.excluded]
    print(f"{len(cases)} rows")
    free, x = fit(cases)
    whole = {key: float(np.exp(value)) for key, value in zip(free.keys, x, strict=True)}
    write(whole, cases)
    if not only:
        found = left_out(cases, lambda case: f"{case.group} on {case.gpu}", whole)
        HELD_OUT.write_text(
            json.dumps({"left_out": {k: round(v, 5) for k, v in found.items()}}, indent=0) + "\n"
        )
    return 0


def write(whole: Mapping[Key, float], cases: Sequence[Case]) -> None:
    """The fitted coefficients with what moved them."""
    data: dict[str, Any] = json.loads(json.dumps(Coefficients.priors().data)) | {
        "bands": coefficients()["bands"]
    }
    rows = {row["name"]: row for row in data["runtimes"]}
    moved: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for case in cases:
        for table, name in {key[:2] for key in keys_of(case)}:
            moved[table, name][case.source] += 1
    for (table, name, field), value in whole.items():
        place = rows[name] if table == "runtimes" else data[table][name]
        place[field] = float(f"{value:.4g}")
    for (table, name), sources in moved.items():
        place = rows[name] if table == "runtimes" else data[table][name]
        place["rows"] = sum(sources.values())
        place["sources"] = sorted(sources)[:12]
    FILE.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
