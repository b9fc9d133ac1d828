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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import exp, log, sqrt
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "scripts"))

from speed_cases import Case, Coefficients, predicted, read_cases  # noqa: E402

from app.performance.bands import FLOOD  # noqa: E402
from app.performance.coefficients import FILE, coefficients, version_key  # noqa: E402

HELD_OUT = ROOT / "validation" / "accuracy_speed.json"
MOST_ROWS = 25  # what one source and device weighs
NOISE = 0.1  # of one row
ROUNDS = 6  # from the coefficients that are
ROUNDS_LEFT_OUT = 3  # from the fit of all rows, which is near
LONGEST = 1.0  # step of a coefficient's logarithm
SHARES = (1.0, 0.5, 0.25, 0.125)  # of a step, the longest that lowers the loss
# How much wider some rows scatter: first runs with kernels that are not tuned yet, floods of requests, and
# times to a first token behind a network front.
NOISIER = {"gpustack": 2.0}
FLOODED = 2.0
FIRST_TOKEN = 2.0
FELT = 1e-7  # change of a prediction below which a fifth off a coefficient is none
STEP = 1e-3  # of a parameter's logarithm, for the derivative

# How far a row may move a coefficient from what it starts at: standard deviations of its logarithm.
DEVICE_PRIORS = {
    "bw": 0.15, "narrow_bw": 0.1, "four_bit_bw": 0.1, "ff": 0.15, "fq": 0.15, "kv": 0.3, "fa": 0.3,
    "layer_us": 0.4, "unpacking": 0.4,
}  # fmt: skip
RUNTIME_PRIORS = {
    "step_ms": 1.0, "sequence_us": 1.2, "repeated": 1.2, "serial_ns": 0.5,
    "message_us": 0.4, "chunk_ms": 0.6, "chunk_layer_us": 1.0, "start_ms": 0.8, "experts": 0.5, "state": 0.5,
    "recurrent_us": 0.8,
}  # fmt: skip
SERVER_PRIORS = {"step_ms": 1.0, "sequence_us": 1.0, "stream_us": 0.35, "start_ms": 0.8}
LLAMA_PRIORS = {
    "bw": 0.3, "cq": 0.6, "kv": 0.5, "layer_us": 0.5, "ff": 0.5, "fq": 0.2, "score_bytes": 0.6,
    "experts": 0.4,
}  # fmt: skip
PRIORS = {
    "devices": DEVICE_PRIORS,
    "runtimes": RUNTIME_PRIORS,
    "servers": SERVER_PRIORS,
    "llama_cpp": LLAMA_PRIORS,
}
MOST = {
    "bw": 0.95,
    "narrow_bw": 1.0,
    "ff": 0.92,
    "fq": 1.0,
    "kv": 0.95,
    "fa": 0.92,
    "experts": 1.0,
    "unpacking": 1.0,
    "state": 1.0,
    "four_bit_bw": 1.0,
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
    return PRIORS[key[0]][key[2]]


def keys_of(case: Case) -> list[Key]:
    """The coefficients that one case sees."""
    if case.llama:
        return [("llama_cpp", case.device, name) for name in LLAMA_PRIORS]
    found = [("devices", case.device, name) for name in DEVICE_PRIORS]
    found += [("runtimes", case.runtime, name) for name in RUNTIME_PRIORS]
    return found + [("servers", case.server, name) for name in SERVER_PRIORS if case.server]


@cache
def felt(case: Case) -> tuple[Key, ...]:
    """The coefficients that change what is predicted of one case."""
    table = Coefficients(Coefficients.priors().data)
    base, found = predicted(case, table), []
    for key in keys_of(case):
        before = table.get(key)
        table.put(key, 0.8 * before)
        if abs(predicted(case, table) / base - 1) > FELT:
            found.append(key)
        table.put(key, before)
    return tuple(found)


def scatter(case: Case) -> float:
    """How much wider than most rows one scatters."""
    flooded = (case.setup.request.concurrency or 0) >= FLOOD
    first = case.server and case.metric == "ttft_ms"
    return NOISIER.get(case.group, 1.0) * (FLOODED if flooded else 1.0) * (FIRST_TOKEN if first else 1.0)


@dataclass
class Fit:
    """Where a fit stands: coefficients as logarithms, errors of the cases, and their slopes."""

    free: Problem
    cases: Sequence[Case]
    x: np.ndarray
    errors: np.ndarray
    slopes: np.ndarray

    @property
    def table(self) -> Coefficients:
        """The coefficients."""
        return self.free.at(self.x)

    @property
    def values(self) -> dict[Key, float]:
        """The same by key."""
        return {key: float(np.exp(value)) for key, value in zip(self.free.keys, self.x, strict=True)}


def standing(free: Problem, cases: Sequence[Case], x: np.ndarray) -> Fit:
    """Errors of all cases and their slopes, by differences, where they are felt."""
    place = {key: i for i, key in enumerate(free.keys)}
    table = free.at(x)
    errors, slopes = np.zeros(len(cases)), np.zeros((len(cases), len(x)))
    for number, case in enumerate(cases):
        base = log(predicted(case, table))
        errors[number] = base - log(case.measured)
        for key in felt(case):
            if key in place:
                before = table.get(key)
                table.put(key, before * exp(STEP))
                slopes[number, place[key]] = (log(predicted(case, table)) - base) / STEP
                table.put(key, before)
    return Fit(free, cases, x, errors, slopes)


def misfits(here: Fit, x: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Errors over what they may be, and distances of coefficients from their priors over the same."""
    first = np.array([log(value) for value in here.free.start.values()])
    spread = np.array(list(here.free.spread.values()))
    return np.concatenate([errors * weights(here.cases), (x - first) / spread])


def loss(here: Fit, x: np.ndarray) -> float:
    """Soft-L1 loss at other coefficients."""
    table = here.free.at(x)
    errors = np.array([log(predicted(case, table) / case.measured) for case in here.cases])
    return float(np.sum(np.sqrt(1 + misfits(here, x, errors) ** 2)))


def stepped(here: Fit) -> np.ndarray:
    """The next coefficients: a Gauss-Newton step, halved until the loss falls."""
    whole = newton(here) - here.x
    now = loss(here, here.x)
    for share in SHARES:
        if loss(here, here.x + share * whole) < now:
            return here.x + share * whole
    return here.x


def newton(here: Fit) -> np.ndarray:
    """A Gauss-Newton step with the weights of a soft-L1 loss, within physics."""
    spread = np.array(list(here.free.spread.values()))
    weight = weights(here.cases)
    misfit = misfits(here, here.x, here.errors)
    slopes = np.vstack([here.slopes * weight[:, None], np.diag(1 / spread)])
    robust = 1 / np.sqrt(1 + misfit**2)
    left = slopes.T @ (slopes * robust[:, None])
    step = np.linalg.solve(left, -slopes.T @ (misfit * robust))
    most = np.array([log(MOST[key[2]]) if key[2] in MOST else np.inf for key in here.free.keys])
    return np.minimum(here.x + np.clip(step, -LONGEST, LONGEST), most - 1e-3)


def weights(cases: Sequence[Case]) -> np.ndarray:
    """What each case weighs."""
    counts = Counter((case.group, case.gpu) for case in cases)
    return np.array(
        [sqrt(min(1.0, MOST_ROWS / counts[case.group, case.gpu])) / NOISE / scatter(case) for case in cases]
    )


def fit(cases: Sequence[Case], rounds: int) -> Fit:
    """The best coefficients for these cases, so many steps from those that the service has."""
    free, now = problem(cases), Coefficients.current()
    found = standing(free, cases, np.array([log(now.get(key)) for key in free.keys]))
    for _ in range(rounds):
        found = standing(free, cases, stepped(found))
        print(f"  off by {np.median(np.abs(found.errors)):.4f} in the middle", flush=True)
    return found


def left_out(whole: Fit, by: Callable[[Case], str]) -> dict[str, float]:
    """Every case predicted by a fit that saw none of its group."""
    answers = {}
    for name, held, table in without(whole, by):
        answers |= {case.id: predicted(case, table) for case in held}
        print(f"  without {name}: {len(held)} rows", flush=True)
    return answers


def without(whole: Fit, by: Callable[[Case], str]) -> Iterator[tuple[str, list[Case], Coefficients]]:
    """Each group's cases with the coefficients that the service would use, had nobody measured them."""
    used = thinned(whole.cases, by)
    for name in sorted({by(case) for case in whole.cases}):
        rows = [n for n in used if by(whole.cases[n]) != name]
        inside = [whole.cases[n] for n in rows]
        held = [case for case in whole.cases if by(case) == name]
        table = refitted(whole, rows, held)
        for runtime in {case.runtime for case in held if not case.llama} - {case.runtime for case in inside}:
            borrow(table, "runtimes", runtime, neighbour(runtime, inside))
        fronts = {case.server for case in inside if case.server}
        for front in {case.server for case in held if case.server} - fronts:
            borrow(table, "servers", front, min(fronts, default=None))
        yield name, held, table


def refitted(whole: Fit, rows: Sequence[int], held: Sequence[Case]) -> Coefficients:
    """Coefficients from these rows alone, from those of all rows on; unseen ones are at their priors.

    Only what shares a coefficient with the rows held out, directly or through other rows, has to move.
    """
    cases = [whole.cases[n] for n in rows]
    near = near_to(held, cases)
    rows = [n for n, case in zip(rows, cases, strict=True) if case in near]
    cases = [whole.cases[n] for n in rows]
    free = problem(cases)
    place = [whole.free.keys.index(key) for key in free.keys]
    here = Fit(free, cases, whole.x[place], whole.errors[rows], whole.slopes[np.ix_(rows, place)])
    for _ in range(ROUNDS_LEFT_OUT - 1):
        here = standing(free, cases, stepped(here))
    table = whole.table
    for key in {key for case in held for key in keys_of(case)}:
        table.put(key, Coefficients.priors().get(key))
    for key, value in zip(free.keys, stepped(here), strict=True):
        table.put(key, float(np.exp(value)))
    return table


def near_to(held: Sequence[Case], cases: Sequence[Case]) -> set[Case]:
    """Cases that share a coefficient with those held out, and those that share one with them."""
    keys = {key for case in held for key in felt(case)}
    for _ in range(2):
        near = {case for case in cases if keys & set(felt(case))}
        keys = {key for case in near for key in felt(case)}
    return near


def thinned(cases: Sequence[Case], by: Callable[[Case], str]) -> list[int]:
    """Places of cases, of each group no more than weigh: every second or third of the large ones."""
    groups: dict[str, list[int]] = defaultdict(list)
    for number, case in enumerate(cases):
        groups[by(case)].append(number)
    return sorted(n for rows in groups.values() for n in rows[:: max(1, len(rows) // MOST_ROWS)])


def borrow(table: Coefficients, name: str, row: str, other: str | None) -> None:
    """A row that no measurement is left of takes another's values."""
    for field in PRIORS[name] if other else ():
        table.put((name, row, field), table.get((name, str(other), field)))


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
    arguments.add_argument("--rounds", type=int, default=ROUNDS, help="steps from the coefficients that are")
    asked = arguments.parse_args()
    cases = [case for case in read_cases() if not case.excluded]
    print(f"{len(cases)} rows")
    whole = fit(cases, asked.rounds)
    write(whole.values, cases)
    if not asked.fit:
        found = left_out(whole, lambda case: f"{case.group} on {case.gpu}")
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
