"""A small robust fit: logarithms of factors, drawn to 1 by how far such factors were seen to spread.

    minimize  sum of (log(predicted / measured) / noise)^2  +  sum of (log(factor) / spread)^2

by Gauss-Newton steps, with Huber's weights on the first sum. A factor that the measurements say nothing of
stays 1; one that they tell little of, or not apart from another, is corrected as far as its spread allows,
and said to be drawn to 1.
"""

from collections.abc import Callable, Mapping, Sequence
from math import exp, log, sqrt
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from .calibration import LEAST, MECHANISMS, MOST, NONE, Factors

# How far the factors of single sources lie from the common ones, as standard deviations of logarithms;
# `scripts/fit_calibration.py` prints them and the noise that leaves the smallest errors on rows left out.
SPREAD: Final[Mapping[str, float]] = {
    "memory_bandwidth": 0.15,
    "compute": 0.25,
    "network": 0.5,
    "step_overhead": 0.6,
    "token_overhead": 0.6,
    "request_overhead": 1.0,
}
# Of training, whose classes of devices lie nearer to each other than the models of one source do.
TRAINING_SPREAD: Final[Mapping[str, float]] = {
    "memory_bandwidth": 0.06,
    "compute": 0.1,
    "network": 0.2,
    "step_overhead": 0.25,
}
HUBER: Final = 1.5  # noises from which a figure pulls with no more force than there
SILENT: Final = 0.97  # of the uncertainty before: more than that left, and a factor stays exactly 1
IDENTIFIED: Final = 0.75  # more than that left, and a factor is said to be drawn to 1
ALIKE: Final = 0.7  # cosine of two factors' effects from which the figures do not tell them apart
FELT: Final = 0.02  # change of a figure's logarithm with a factor's below which it says nothing of it
STEPS: Final = 12
CLOSE: Final = 1e-4
PROBE: Final = 0.02  # step of numerical derivatives, of a logarithm

Predict = Callable[[Factors], float]
Vector = list[float]
Matrix = list[list[float]]


class Figure(Struct, frozen=True):
    """One measured figure: how it is predicted, the standard deviation of its logarithm, its measurement."""

    name: str
    measurement: int
    measured: float
    noise: float
    predict: Predict


class Mechanism(Struct, frozen=True):
    """What was found of one factor: `low` and `high` hold it with 90%; `felt` figures depend on it.

    `left`: its uncertainty over what it was before, which decides whether it is `corrected` at all and
    `identified`. `further`: figures that would identify it. `twin`: the factor that the figures do not tell
    it from.
    """

    name: str
    factor: float
    low: float
    high: float
    corrected: bool
    identified: bool
    felt: int
    left: float
    further: int
    twin: str | None = None


class Fit(Struct, frozen=True):
    """The factors, what is known of each, and every figure predicted with them."""

    factors: Factors
    mechanisms: tuple[Mechanism, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]

    @property
    def active(self) -> tuple[str, ...]:
        """The corrected mechanisms."""
        return tuple(each.name for each in self.mechanisms if each.corrected)


def fit(figures: Sequence[Figure], spread: Mapping[str, float] = SPREAD) -> Fit:
    """Factors of those mechanisms that the figures say anything of."""
    everything = [name for name in MECHANISMS if name in spread]
    first = _linear(figures, NONE, everything)
    left = _uncertainty(first, figures, everything, spread)
    active = [name for name, each in zip(everything, left, strict=True) if each <= SILENT]
    factors = descend(figures, active, NONE, spread)
    before = tuple(figure.predict(NONE) for figure in figures)
    after = tuple(figure.predict(factors) for figure in figures)
    slopes = _linear(figures, factors, active, after)
    known = dict(zip(active, _uncertainty(slopes, figures, active, spread), strict=True))
    found = [_mechanism(place, figures, first, factors, known, spread) for place in range(len(everything))]
    return Fit(factors, tuple(found), before, after)


def descend(
    figures: Sequence[Figure], active: Sequence[str], start: Factors, spread: Mapping[str, float]
) -> Factors:
    """The factors of least loss, by damped Gauss-Newton steps; those not active stay as they are."""
    here = start
    loss = _loss(figures, here, active, spread)
    for _ in range(STEPS if active else 0):
        values = [figure.predict(here) for figure in figures]
        step = _step(figures, here, active, spread, values, _linear(figures, here, active, values))
        share = 1.0
        while share > 0.05:
            there = _moved(here, active, [share * each for each in step])
            found = _loss(figures, there, active, spread)
            if found <= loss:
                break
            share /= 2
        else:
            return here
        done = loss - found < CLOSE * (1 + loss)
        here, loss = there, found
        if done:
            break
    return here


def without(figures: Sequence[Figure], found: Fit, spread: Mapping[str, float] = SPREAD) -> tuple[float, ...]:
    """Every figure predicted by a fit that did not see its measurement: one step from the fit of all."""
    active, here = found.active, found.factors
    slopes = _linear(figures, here, active, found.after)
    answers: dict[int, Factors] = {}
    for left in {figure.measurement for figure in figures} if active else ():
        kept = [k for k, figure in enumerate(figures) if figure.measurement != left]
        step = _step(
            [figures[k] for k in kept], here, active, spread, [found.after[k] for k in kept],
            [slopes[k] for k in kept],
        )  # fmt: skip
        answers[left] = _moved(here, active, step)
    return tuple(figure.predict(answers.get(figure.measurement, here)) for figure in figures)


def _step(
    figures: Sequence[Figure], here: Factors, active: Sequence[str], spread: Mapping[str, float],
    values: Sequence[float], slopes: Matrix,
) -> Vector:  # fmt: skip
    errors = [log(value / f.measured) / f.noise for value, f in zip(values, figures, strict=True)]
    weights = [1.0 if abs(error) <= HUBER else HUBER / abs(error) for error in errors]
    matrix = _information(slopes, figures, active, spread, weights)
    rows = list(zip(figures, errors, weights, slopes, strict=True))
    right = [
        -sum(weight * error * row[k] / f.noise for f, error, weight, row in rows)
        - log(getattr(here, name)) / spread[name] ** 2
        for k, name in enumerate(active)
    ]
    return solve(matrix, right)


def _moved(here: Factors, active: Sequence[str], step: Vector) -> Factors:
    moved = {
        name: min(MOST, max(LEAST, getattr(here, name) * exp(max(-1.0, min(1.0, by)))))
        for name, by in zip(active, step, strict=True)
    }
    return replace(here, **moved)


def _loss(
    figures: Sequence[Figure], here: Factors, active: Sequence[str], spread: Mapping[str, float]
) -> float:
    drawn = sum((log(getattr(here, name)) / spread[name]) ** 2 for name in active)
    return drawn + sum(_huber(log(f.predict(here) / f.measured) / f.noise) for f in figures)


def _huber(error: float) -> float:
    size = abs(error)
    return size * size if size <= HUBER else HUBER * (2 * size - HUBER)


def _linear(
    figures: Sequence[Figure], here: Factors, active: Sequence[str], values: Sequence[float] | None = None
) -> Matrix:
    """Change of each figure's logarithm with each factor's."""
    values = values or [figure.predict(here) for figure in figures]
    shifted = [replace(here, **{name: getattr(here, name) * exp(PROBE)}) for name in active]
    return [
        [log(figure.predict(there) / value) / PROBE for there in shifted]
        for figure, value in zip(figures, values, strict=True)
    ]


def _information(
    slopes: Matrix, figures: Sequence[Figure], active: Sequence[str], spread: Mapping[str, float],
    weights: Sequence[float],
) -> Matrix:  # fmt: skip
    """J' W J and what is known before."""
    size = range(len(active))
    matrix = [
        [
            sum(w * row[i] * row[j] / f.noise**2 for row, f, w in zip(slopes, figures, weights, strict=True))
            for j in size
        ]
        for i in size
    ]
    for k, name in enumerate(active):
        matrix[k][k] += 1 / spread[name] ** 2
    return matrix


def _uncertainty(
    slopes: Matrix, figures: Sequence[Figure], active: Sequence[str], spread: Mapping[str, float]
) -> Vector:
    """Standard deviation of each factor's logarithm after the figures over that before."""
    covariance = inverse(_information(slopes, figures, active, spread, [1.0] * len(figures)))
    return [sqrt(covariance[k][k]) / spread[name] for k, name in enumerate(active)]


def _mechanism(
    place: int, figures: Sequence[Figure], first: Matrix, factors: Factors, known: Mapping[str, float],
    spread: Mapping[str, float],
) -> Mechanism:  # fmt: skip
    """One factor with its interval; `first` are the slopes of all before any correction."""
    names = [name for name in MECHANISMS if name in spread]
    name = names[place]
    column = [row[place] for row in first]
    felt = sum(abs(slope) > FELT for slope in column)
    left = known.get(name, 1.0)
    identified = left <= IDENTIFIED
    value, wide = getattr(factors, name), exp(1.645 * left * spread[name])
    return Mechanism(
        name,
        value,
        value / wide,
        value * wide,
        name in known,
        identified,
        felt,
        left,
        0 if identified else _further(column, figures, spread[name]),
        None if identified or not felt else _twin(first, place, names, known),
    )


def _twin(first: Matrix, place: int, names: Sequence[str], known: Mapping[str, float]) -> str | None:
    """The corrected factor whose effect on the figures is most like this one's."""
    mine = [row[place] for row in first]

    def likeness(other: str) -> float:
        theirs = [row[names.index(other)] for row in first]
        sizes = sqrt(sum(x * x for x in mine) * sum(y * y for y in theirs))
        return abs(sum(x * y for x, y in zip(mine, theirs, strict=True))) / sizes if sizes else 0.0

    others = [name for name in known if name != names[place]]
    best = max(others, key=likeness, default=None)
    return best if best is not None and likeness(best) > ALIKE else None


def _further(column: Vector, figures: Sequence[Figure], spread: float) -> int:
    """Figures like the most telling one that would identify the factor alone, less those there are."""
    telling = max((abs(slope) / f.noise for slope, f in zip(column, figures, strict=True)), default=0.0)
    wanted = (1 / IDENTIFIED**2 - 1) / spread**2
    needed = int(wanted / telling**2) + 1 if telling > FELT else 1
    return max(1, min(needed, 99))


def solve(matrix: Matrix, right: Vector) -> Vector:
    """x of A x = b for a symmetric positive definite A, by Gauss' elimination.

    >>> solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0])
    [1.0, 0.5]
    """
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    size = len(rows)
    for k in range(size):
        for below in range(k + 1, size):
            ratio = rows[below][k] / rows[k][k]
            rows[below] = [x - ratio * y for x, y in zip(rows[below], rows[k], strict=True)]
    found = [0.0] * size
    for k in reversed(range(size)):
        found[k] = (rows[k][size] - sum(rows[k][j] * found[j] for j in range(k + 1, size))) / rows[k][k]
    return found


def inverse(matrix: Matrix) -> Matrix:
    """The inverse of such a matrix."""
    size = len(matrix)
    columns = [solve(matrix, [float(i == j) for i in range(size)]) for j in range(size)]
    return [[columns[j][i] for j in range(size)] for i in range(size)]
