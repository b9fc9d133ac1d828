"""Quantiles of what is spread: prompts in a gate, lengths of answers, times to the first token."""

from math import exp, log
from typing import Final

from .estimate import Quantiles

# Quantiles over the mean of simulated times to the first token, at light load and at 80% of what can be
# sustained: lengths alike, lengths that vary, and the same for prompts that take much longer than a step.
_TTFT: Final = {
    (False, False): ((0.88, 1.55, 2.1), (0.88, 1.55, 3.0)),
    (True, False): ((0.78, 2.0, 3.1), (0.78, 2.0, 3.8)),
    (False, True): ((0.75, 2.0, 2.9), (0.75, 2.0, 2.9)),
    (True, True): ((0.70, 2.2, 4.0), (0.70, 2.2, 4.0)),
}
_LIGHT, _HEAVY = 0.3, 0.8
_NORMAL: Final = {0.5: 0.0, 0.9: 1.2816, 0.99: 2.3263}


def quantiles_of_ttft(mean: float, floor: float, load: float, varied: bool, long: bool) -> Quantiles:
    """Quantiles of the time to the first token [s], none below what the step itself takes."""
    light, heavy = _TTFT[(varied, long)]
    place = min(1.0, max(0.0, (load - _LIGHT) / (_HEAVY - _LIGHT)))
    least = min(floor, mean)
    p50, p90, p99 = (
        max(least, mean * (low + place * (high - low))) for low, high in zip(light, heavy, strict=True)
    )
    return Quantiles(mean, p50, max(p50, p90), max(p90, p99))


def poisson_quantile(mean: float, share: float) -> int:
    """The least number that a Poisson variable does not exceed with probability `share`.

    >>> poisson_quantile(0.05, 0.5), poisson_quantile(0.05, 0.99), poisson_quantile(3.0, 0.9)
    (0, 1, 5)
    """
    if mean > 500:
        return int(mean + _normal(share) * float(mean**0.5) + 0.5)
    term = total = exp(-mean)
    count = 0
    while total < share and count < 10_000:
        count += 1
        term *= mean / count
        total += term
    return count


def gamma_quantile(cv: float, share: float) -> float:
    """A quantile of a gamma variable of mean 1 (Wilson and Hilferty 1931).

    >>> gamma_quantile(0.0, 0.9), round(gamma_quantile(1.0, 0.9), 1)
    (1.0, 2.3)
    """
    if cv <= 0:
        return 1.0
    ninth = cv * cv / 9
    return float(max(0.0, 1 - ninth + _normal(share) * ninth**0.5) ** 3)


def capped(share: float, cv: float) -> float:
    """Mean of min(1, share / length) over lengths of mean 1: fixed ones, and exponential ones at a cv of 1.

    >>> capped(0.1, 0.0), round(capped(0.1, 1.0), 2)
    (0.1, 0.27)

    The exponential integral lies between e^-x log(1 + 2/x) / 2 and e^-x log(1 + 1/x).
    """
    if share <= 0:
        return 0.0
    integral = exp(-share) * (log(1 + 2 / share) / 2 + log(1 + 1 / share)) / 2
    spread = 1 - exp(-share) + share * integral
    return min(1.0, share) + min(1.0, cv * cv) * (spread - min(1.0, share))


def _normal(share: float) -> float:
    """Quantile of the standard normal distribution, linear in -log(1 - share) between the usual ones."""
    if share in _NORMAL:
        return _NORMAL[share]
    x = -log(1 - share)
    low, high = (0.5, 0.9) if share < 0.9 else (0.9, 0.99)  # beyond 0.99 the last line goes on
    a, b = -log(1 - low), -log(1 - high)
    return _NORMAL[low] + (_NORMAL[high] - _NORMAL[low]) * (x - a) / (b - a)
