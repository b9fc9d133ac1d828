"""Training speed against published runs: the errors that the coefficients were fitted and held out with."""

import json
from math import log
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from app.performance.training import estimate_training_performance
from app.performance.training_coefficients import data
from app.service.training_speed_question import training_speed_question
from tests.performance.questions import lookup

FILE = Path(__file__).parents[2] / "validation" / "performance_training.jsonl"
ROWS: list[dict[str, Any]] = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
COUNTED = [row for row in ROWS if row["id"] in data()["left_out"]]


def error(row: dict[str, Any]) -> float:
    request = training_speed_question(row["request"], lookup()).request
    found = estimate_training_performance(request)
    measured = row["measured"]
    if "step_ms" in measured:
        return log(measured["step_ms"] / found.step.total)
    return log(found.tokens_per_sec_per_gpu / measured["tokens_per_sec_per_gpu"])


@pytest.mark.parametrize(("moe", "most"), [(False, 0.06), (True, 0.12)])
def test_in_sample(moe: bool, most: float) -> None:
    assert median(abs(error(row)) for row in COUNTED if row["moe"] == moe) < most


@pytest.mark.parametrize(("moe", "most"), [(False, 0.09), (True, 0.25)])
def test_with_the_source_on_that_device_left_out(moe: bool, most: float) -> None:
    left_out = data()["left_out"]
    assert median(abs(left_out[row["id"]]) for row in COUNTED if row["moe"] == moe) < most


def test_bands_hold_nine_of_ten_left_out() -> None:
    classes = data()["classes"].values()
    of = {architecture: each for each in classes for architecture in each["architectures"]}
    held = []
    for row in COUNTED:
        gpu = lookup().gpu(row["request"]["gpu"]).accelerator
        own = of.get(gpu.architecture, data()["classes"]["other"])
        band = own["band_experts"] if row["moe"] else own["band"]
        held.append(abs(data()["left_out"][row["id"]]) <= log(band) + 1e-3)
    assert 0.85 <= sum(held) / len(held) <= 0.97


def test_rows_say_where_they_come_from() -> None:
    for row in ROWS:
        assert row["url"].startswith("https://") and row["date"] and row["source"]
        assert set(row) == {
            "id", "source", "date", "device", "model", "moe", "request", "measured", "conditions",
            "confidence", "url", "superseded",
        }  # fmt: skip
