"""Bands of speeds: made of left-out distances, by groups that weigh alike."""

from math import log

import pytest

from scripts.speed_bands import Distance, bands_of, quantile_over

WIDE, NARROW, ALL, LLAMA = "latency/served", "latency/batch", "latency", "llama.cpp"


def distances(regime: str, groups: dict[str, list[float]]) -> list[Distance]:
    return [Distance(name, (regime, ALL), value) for name, values in groups.items() for value in values]


def width(bands: dict[str, list[float]], regime: str) -> float:
    return log(bands[regime][1])


MANY = {f"g{n}": [0.05 + 0.01 * n, 0.1] for n in range(20)}


def test_bands_are_symmetric_in_logarithms() -> None:
    low, high = bands_of(distances(NARROW, MANY))[ALL]
    assert low * high == pytest.approx(1, abs=2e-3)


def test_rows_of_a_large_group_weigh_no_more_than_those_of_a_small_one() -> None:
    repeated = MANY | {"g0": MANY["g0"] * 500}
    assert bands_of(distances(NARROW, repeated)) == bands_of(distances(NARROW, MANY))


def test_a_regime_of_few_groups_leans_on_what_it_is_part_of() -> None:
    rows = distances(NARROW, MANY)
    one = bands_of(rows + distances(WIDE, {"far": [0.9]}))
    three = bands_of(rows + distances(WIDE, {"far": [0.9], "farther": [0.9], "farthest": [0.9]}))
    assert width(one, NARROW) < width(one, WIDE) < width(three, WIDE)


def test_one_more_group_than_seen_stands_in_view() -> None:
    assert quantile_over([[float(n)] for n in range(10)]) == 9.0  # nine tenths of eleven groups
    assert quantile_over([[float(n)] for n in range(100)]) == 90.0


def test_llama_cpp_makes_no_band_of_a_server() -> None:
    rows = distances(NARROW, MANY)
    regimes = ("latency/llama.cpp/known", "latency/llama.cpp")
    other = [Distance(name, regimes, 2.0) for name in ("card", "another")]
    assert {k: v for k, v in bands_of(rows + other).items() if LLAMA not in k} == bands_of(rows)


def test_one_group_alone_makes_no_band() -> None:
    assert bands_of([Distance("card", (NARROW, ALL), 0.1)]) == {}
