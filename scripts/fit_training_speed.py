"""Fit the coefficients of training speed on `validation/performance_training.jsonl`; needs numpy and scipy.

Least squares on log error with a soft L1 loss. Every source on a device weighs as at most `MOST` rows; every
coefficient has a log-normal prior around its start, and the classes' own ones around their common mean, so
that a class with few rows stays near the others. Then each source on a device is left out, the rest fitted
again and the left out predicted; their errors are the bands of the answers. Superseded releases and rows
of low confidence are not fitted.
"""

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any

import numpy as np
from scipy.optimize import least_squares
from training_speed import Row, read_rows

from app.performance.training_coefficients import FILE, Coefficients, class_of

MOST = 25  # rows that a source on a device may weigh
SHARED_SPREAD, MEAN_SPREAD, CLASS_SPREAD = 0.5, 0.3, 0.15  # log-normal priors
NOISE = 0.06  # of a published figure, in log
SHARED = {
    "narrow_width": 529.0, "small_batch": 0.052, "small_expert": 0.052, "scan": 0.1, "fusion": 0.7,
    "permuted": 54.0, "routed": 0.7, "tensor": 0.47, "layer": 148.0, "step": 21.0, "straggling": 0.0084,
    "optimizer": 0.8, "reduced": 0.11, "gathered": 0.045,
}  # fmt: skip
OWN = {"linear": 0.70, "attention": 0.36, "narrow": 0.80, "grouped": 0.80, "expert_layer": 590.0}
CEILINGS = {"linear": 0.95, "attention": 0.9, "narrow": 1.0, "grouped": 1.0, "routed": 1.5, "tensor": 1.5}
CLASSES: dict[str, tuple[tuple[str, ...], float]] = {  # architectures, network of one GPU [GB/s]
    "ampere": (("Ampere",), 25.0),
    "hopper": (("Hopper",), 50.0),
    "blackwell": (("Blackwell",), 50.0),
    "blackwell-ultra": (("Blackwell Ultra",), 100.0),
    "tpu": (("TPU v5p", "TPU v6e (Trillium)"), 50.0),
    "other": ((), 25.0),
}
LEAST_BAND = 1.15


@dataclass(frozen=True, slots=True)
class Fit:
    """Coefficients by class; `mean` are those of a class that nobody measured."""

    shared: Mapping[str, float]
    mean: Mapping[str, float]
    classes: Mapping[str, Mapping[str, float]]

    def of(self, name: str) -> Coefficients:
        """All coefficients of one class."""
        return Coefficients(**self.shared, **(self.classes.get(name) or self.mean))


def kind_of(row: Row) -> str:
    """The class of a row's device."""
    gpu = row.request.training.gpu
    assert gpu is not None
    return next((n for n, (kinds, _) in CLASSES.items() if gpu.architecture in kinds), "other")


def read_vector(vector: Sequence[float], names: Sequence[str]) -> Fit:
    """The fit that a vector of logarithms stands for."""
    size = len(OWN)
    shared = {n: _capped(n, exp(x)) for n, x in zip(SHARED, vector, strict=False)}
    rest = vector[len(SHARED) :]
    blocks = [rest[i * size : (i + 1) * size] for i in range(len(names) + 1)]
    read = [{n: _capped(n, exp(x)) for n, x in zip(OWN, block, strict=True)} for block in blocks]
    return Fit(shared, read[0], dict(zip(names, read[1:], strict=True)))


def _capped(name: str, value: float) -> float:
    return min(value, CEILINGS.get(name, value))


def fit(rows: Sequence[Row]) -> Fit:
    """The best coefficients for these rows under the priors."""
    names = sorted({kind_of(row) for row in rows} - {"other"})
    counts = Counter(row.group for row in rows)
    weights = np.array([min(1.0, MOST / counts[row.group]) ** 0.5 for row in rows]) / NOISE
    shared = np.log(list(SHARED.values()))
    own = np.log(list(OWN.values()))
    start = np.concatenate([shared, np.tile(own, len(names) + 1)])

    def residuals(vector: Any) -> Any:
        found = read_vector(vector, names)
        errors = np.array([log(row.predict(found.of(kind_of(row))) / row.rate) for row in rows])
        rest = vector[len(shared) :].reshape(len(names) + 1, len(own))
        priors = np.concatenate(
            [
                (vector[: len(shared)] - shared) / SHARED_SPREAD,
                (rest[0] - own) / MEAN_SPREAD,
                ((rest[1:] - rest[0]) / CLASS_SPREAD).ravel(),
            ]
        )
        return np.concatenate([_soft(errors * weights), priors])

    return read_vector(least_squares(residuals, start, max_nfev=40).x, names)


def _soft(errors: Any) -> Any:
    """Residuals whose squares are a soft L1 loss."""
    return np.sign(errors) * np.sqrt(2 * (np.sqrt(1 + errors**2) - 1))


def left_out(rows: Sequence[Row]) -> dict[str, float]:
    """Log error of every row, by its id, with its group left out of the fit."""
    errors = {}
    for group in sorted({row.group for row in rows}):
        found = fit([row for row in rows if row.group != group])
        for row in rows:
            if row.group == group:
                errors[row.id] = log(row.predict(found.of(kind_of(row))) / row.rate)
    return errors


def band(errors: Iterable[float]) -> float:
    """The factor that nine of ten errors stay within."""
    sizes = sorted(abs(error) for error in errors)
    return max(LEAST_BAND, exp(sizes[min(len(sizes) - 1, int(0.9 * len(sizes)))])) if sizes else 1.6


def document(rows: Sequence[Row], found: Fit, errors: Mapping[str, float]) -> dict[str, Any]:
    """The file: coefficients, bands, what they rest on, and the errors left out."""
    by_class: dict[tuple[str, bool], list[float]] = defaultdict(list)
    for row in rows:
        by_class[kind_of(row), row.moe].append(errors[row.id])
    every = {moe: [e for (_, m), es in by_class.items() if m == moe for e in es] for moe in (False, True)}
    classes = {}
    for name, (architectures, network) in CLASSES.items():
        values = found.classes.get(name) or found.mean
        dense, mixed = by_class[name, False], by_class[name, True]
        classes[name] = {
            "architectures": list(architectures),
            "coefficients": {n: _short(v) for n, v in values.items()},
            "network_gb_s": network,
            "band": _short(band(dense or every[False])),
            "band_experts": _short(band(mixed or every[True])),
            "rows": len(dense) + len(mixed),
            "rows_experts": len(mixed),
        }
    return {
        "version": max(row.date for row in rows),
        "sources": sorted({f"{row.source} ({row.date})" for row in rows}),
        "shared": {n: _short(v) for n, v in found.shared.items()},
        "classes": classes,
        "left_out": {name: _short(error) for name, error in errors.items()},
    }


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def main() -> None:
    """Fit, leave out, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only fit; leave out nothing, write nothing")
    quick = parser.parse_args().quick
    rows = [row for row in read_rows() if not row.superseded and row.confidence != "low"]
    found = fit(rows)
    print(json.dumps({"shared": found.shared, "mean": found.mean, "classes": found.classes}, indent=1))
    errors = {row.id: log(row.predict(found.of(kind_of(row))) / row.rate) for row in rows}
    _print(rows, errors, "in sample")
    if quick:
        return
    errors = left_out(rows)
    _print(rows, errors, "left out")
    FILE.write_text(json.dumps(document(rows, found, errors), indent=1) + "\n", encoding="utf-8")


def _print(rows: Sequence[Row], errors: Mapping[str, float], title: str) -> None:
    for moe in (False, True):
        sizes = sorted(abs(errors[row.id]) for row in rows if row.moe == moe)
        name = "mixtures" if moe else "dense"
        print(f"{title}: {name}: {len(sizes)} rows, median {100 * float(np.median(sizes)):.1f}%")
    groups: dict[tuple[str, str, bool], list[float]] = defaultdict(list)
    for row in rows:
        groups[(*row.group, row.moe)].append(errors[row.id])
    for key, found in sorted(groups.items()):
        size = 100 * float(np.median(np.abs(found)))
        print(
            f"  {key!s:<52} {len(found):>3} rows {size:>6.1f}% bias {100 * float(np.median(found)):>+6.1f}%"
        )


if __name__ == "__main__":
    assert class_of  # the file that is written is the one that the service reads
    main()
