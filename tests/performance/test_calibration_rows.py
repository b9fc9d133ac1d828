"""What a few measurements are worth on published runs: fewer errors on the runs that they did not see."""

import random
from collections import defaultdict
from statistics import mean

import pytest

from scripts.accuracy_calibration import FEWEST_LEFT, Row, row_of, tried
from scripts.speed_cases import Coefficients, read_cases

COUNT = 3  # measurements


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Every row, with the coefficients as they are: those have seen it, so what is left to gain is least."""
    current = Coefficients.current()
    return [row_of(case, current) for case in read_cases() if not case.excluded]


@pytest.mark.slow
@pytest.mark.parametrize("one_model", [True, False], ids=["one model", "any model"])
def test_three_measurements_bring_the_rest_nearer(rows: list[Row], one_model: bool) -> None:
    groups: dict[object, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.model if one_model else row.group].append(row)
    draw = random.Random(0)
    known = [found for _, found in sorted(groups.items(), key=str) if len(found) >= COUNT + FEWEST_LEFT]
    tries = [tried(found, COUNT, draw) for found in known]
    before, after = (mean(each) for each in zip(*tries, strict=True))
    assert len(tries) > 20
    assert after < before
    if one_model:
        assert mean(b <= a * 1.02 for a, b in tries) > 0.5, "and in most groups"
