"""The published speeds: what the report that ships says of rows that were left out of the fit."""

from typing import Any

import pytest

from app.accuracy import speed_report
from scripts.speed_cases import Coefficients, read_cases
from scripts.speed_cases import predicted as figure


def line(table: str, name: str) -> dict[str, Any]:
    found = {each["key"][0]: each for each in speed_report()[table]}
    return dict(found[name])


@pytest.mark.parametrize(
    ("name", "median"),
    [
        ("static throughput", 0.09),
        ("throughput under load", 0.05),
        ("llama.cpp generation", 0.08),
        ("llama.cpp prompt", 0.13),
        ("time per token", 0.13),
        ("time to first token", 0.25),
    ],
)
def test_rows_of_devices_and_sources_that_the_fit_never_saw(name: str, median: float) -> None:
    assert line("left_out", name)["median"] <= median


def test_bands_hold_nine_of_ten_rows_that_were_left_out() -> None:
    assert 0.85 <= speed_report()["coverage"] <= 0.95


@pytest.mark.parametrize("name", ["time per token", "time to first token", "end-to-end latency"])
def test_bands_of_latencies_hold_as_many(name: str) -> None:
    assert line("left_out", name)["coverage"] >= 0.85


def test_the_report_says_what_was_not_compared() -> None:
    assert sum(speed_report()["excluded"].values()) > 50


def test_the_report_is_what_the_coefficients_give() -> None:
    """Every fortieth row, evaluated now."""
    cases = [case for case in read_cases(every=40) if not case.excluded]
    ratios = sorted(figure(case, Coefficients.current()) / case.measured for case in cases)
    assert len(ratios) > 30
    assert ratios[len(ratios) // 2] == pytest.approx(1.0, abs=0.1)
