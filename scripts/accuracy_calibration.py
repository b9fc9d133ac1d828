"""What a few measurements of one's own are worth, on published ones (extra `fit`).

    python scripts/accuracy_calibration.py            fit again without each source and device, then calibrate
    python scripts/accuracy_calibration.py --quick    with the coefficients as they are, which saw every row

Of each source and device that the coefficients did not see, `k` rows are drawn for a calibration and the rest
is predicted: first rows of any model, then rows of one model in one format. Prints the mean over groups of
each one's median error, before and after; the spreads and noises of `app/performance/calibration_fit.py` and
`calibration_figures.py` are those near which this is least.
"""

import argparse
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log
from pathlib import Path
from statistics import mean, median

from msgspec.structs import replace

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "scripts"))

from speed_cases import Case, Coefficients, figure, flow_of, rates_for, read_cases  # noqa: E402

from app.performance.calibration import NONE, Factors  # noqa: E402
from app.performance.calibration_figures import NOISE, NOISE_ELSE  # noqa: E402
from app.performance.calibration_fit import Figure, fit  # noqa: E402
from app.performance.corrections import corrected  # noqa: E402

DRAWS = 5
FEWEST_LEFT = 3
MOST_LEFT = 40
COUNTS = (1, 2, 3, 5, 8)


@dataclass(frozen=True)
class Row:
    """A case and its prediction for any factors."""

    case: Case
    predict: Callable[[Factors], float]

    @property
    def group(self) -> str:
        """Source and device: what a fit is made without."""
        return f"{self.case.group} on {self.case.gpu}"

    @property
    def model(self) -> tuple[str, ...]:
        """The same with runtime, model and format."""
        asked = self.case.ask or self.case.shape
        return (self.group, self.case.runtime, self.case.model, "" if asked is None else asked.scheme)


def row_of(case: Case, table: Coefficients) -> Row:
    """A case with the rates of a table, corrected on demand."""
    rates = rates_for(case, table)

    @lru_cache(maxsize=256)
    def predict(factors: Factors) -> float:
        engine = replace(case.setup.engine, rates=corrected(rates, factors))
        setup = replace(case.setup, engine=engine)
        return figure(setup, flow_of(setup), case.metric)

    return Row(case, predict)


def tables(cases: Sequence[Case], quick: bool) -> Mapping[str, Coefficients]:
    """The coefficients for each source and device."""
    names = sorted({f"{case.group} on {case.gpu}" for case in cases})
    current = Coefficients.current()
    if quick:
        return dict.fromkeys(names, current)
    from fit_speed import fit as fit_speeds
    from fit_speed import without

    found = {}
    for name, held, table in without(fit_speeds(cases, 0), lambda case: f"{case.group} on {case.gpu}"):
        found[name] = table
        print(f"  without {name}: {len(held)} rows", flush=True)
    return found


def calibrated(rows: Sequence[Row]) -> Factors:
    """The factors that some rows give."""
    figures = [
        Figure(row.case.metric, place, row.case.measured, noise_of(row.case.metric), row.predict)
        for place, row in enumerate(rows)
    ]
    return fit(figures).factors


def noise_of(metric: str) -> float:
    """Of a row's figure."""
    return NOISE["ttft_ms"] if metric in ("ttft_ms", "prompt_tokens_per_sec") else NOISE_ELSE


def tried(rows: Sequence[Row], count: int, draw: random.Random) -> tuple[float, float]:
    """Medians of the errors' sizes on the rows that were not drawn, before and after, over some draws."""
    before, after = [], []
    for _ in range(DRAWS):
        chosen = draw.sample(range(len(rows)), count)
        factors = calibrated([rows[place] for place in chosen])
        rest = [row for place, row in enumerate(rows) if place not in chosen]
        for row in draw.sample(rest, min(len(rest), MOST_LEFT)):
            before.append(abs(log(row.predict(NONE) / row.case.measured)))
            after.append(abs(log(row.predict(factors) / row.case.measured)))
    return median(before), median(after)


def report(title: str, groups: Mapping[object, Sequence[Row]]) -> None:
    """A line for each number of measurements."""
    print(f"\n{title}: measurements, groups, mean error before and after, better in, median before and after")
    for count in COUNTS:
        draw = random.Random(count)
        known = [rows for _, rows in sorted(groups.items(), key=str) if len(rows) >= count + FEWEST_LEFT]
        found = [tried(rows, count, draw) for rows in known]
        before, after = zip(*found, strict=True)
        better = sum(b < a for a, b in found)
        print(
            f"  {count} {len(found):>5} {mean(before):>8.1%} {mean(after):>8.1%} {better:>5} of {len(found)} "
            f"{median(before):>8.1%} {median(after):>8.1%}"
        )


def main() -> int:
    """Draw, calibrate, predict, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="with the coefficients as they are")
    quick = parser.parse_args().quick
    cases = [case for case in read_cases() if not case.excluded]
    known = tables(cases, quick)
    rows = [row_of(case, known[f"{case.group} on {case.gpu}"]) for case in cases]
    for title, key in (("any model", lambda row: row.group), ("one model", lambda row: row.model)):
        groups: dict[object, list[Row]] = defaultdict(list)
        for row in rows:
            groups[key(row)].append(row)
        report(title, groups)
    return 0


if __name__ == "__main__":
    sys.exit(main())
