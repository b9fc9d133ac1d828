"""Compare the published speeds of `validation/performance_training.jsonl` with what we predict.

In sample: with the coefficients as they are. Left out: with the row's source on its device left out of the
fit, as `scripts/fit_training_speed.py` wrote it down. Superseded releases are in neither and stand apart.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import exp, log
from statistics import median

from training_speed import Row, read_rows

from app.performance.training_coefficients import data


def main() -> None:
    """Every row, then summaries."""
    rows = list(read_rows())
    own = {row.id: log(row.predict() / row.rate) for row in rows}
    out: Mapping[str, float] = data()["left_out"]
    for row in rows:
        left = f"{100 * (exp(out[row.id]) - 1):>+6.0f}%" if row.id in out else "      -"
        print(
            f"{row.id:<14} {row.date:<8} {row.source:<18} {row.device:<15} {row.model[:20]:<20} "
            f"{row.rate:>9,.0f} {row.predict():>9,.0f} {100 * (exp(own[row.id]) - 1):>+6.0f}% {left}"
        )
    fitted = [row for row in rows if row.id in out]
    for title, errors in (("in sample", own), ("left out", out)):
        _summary(title, fitted, errors)
    _summary("older releases and low confidence", [row for row in rows if row.id not in out], own)


def _summary(title: str, rows: Iterable[Row], errors: Mapping[str, float]) -> None:
    groups: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        kind = "mixtures" if row.moe else "dense"
        for key in (f"all {kind}", f"{kind} / {row.device}", f"{kind} / {row.source}"):
            groups[key].append(errors[row.id])
    print(f"\n{title}: rows, median, p90, bias of tokens/s of one GPU")
    for key, found in sorted(groups.items()):
        sizes = sorted(abs(error) for error in found)
        tail = sizes[min(len(sizes) - 1, int(0.9 * len(sizes)))]
        print(
            f"  {key:<32} {len(found):>4} {100 * median(sizes):>6.1f}% {100 * tail:>6.1f}% "
            f"{100 * median(found):>+6.1f}%"
        )


if __name__ == "__main__":
    main()
