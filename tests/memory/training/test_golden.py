"""Training peaks beside those that torch's MemTracker measured on the real models."""

import json
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.memory.training.predicted import phases

ROWS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "golden" / "training_peaks.json").read_text(encoding="utf-8")
)


@pytest.fixture(scope="module")
def compared() -> list[tuple[dict[str, Any], float, str]]:
    """Every row with our relative error and the phase that we name."""
    found = []
    for row in ROWS:
        ours = phases(row)
        phase = max(ours, key=lambda name: ours[name])
        found.append((row, ours[phase] / row["measured"]["peak"] - 1, phase))
    return found


def test_there_are_enough_cases() -> None:
    assert len(ROWS) >= 120
    assert len({row["config"]["model_type"] for row in ROWS}) >= 20


def test_errors_are_small(compared: list[tuple[dict[str, Any], float, str]]) -> None:
    errors = sorted(abs(error) for _, error, _ in compared)
    assert median(errors) <= 0.0001
    assert errors[int(0.9 * len(errors))] <= 0.001
    assert errors[-1] <= 0.02


def test_the_phase_of_the_peak_is_right(compared: list[tuple[dict[str, Any], float, str]]) -> None:
    right = sum(phase == row["measured"]["phase"] for row, _, phase in compared)
    assert right >= 0.98 * len(compared)


def test_each_phase_of_dense_models_is_right(compared: list[tuple[dict[str, Any], float, str]]) -> None:
    for row, _, _ in compared:
        if row["name"] in ("llama", "qwen2", "qwen3", "gpt_neox", "olmo2", "smollm3") and not row["lora"]:
            ours = phases(row)
            for name in ("loss", "backward", "optimizer_step"):
                assert ours[name] == pytest.approx(row["measured"]["phases"][name], rel=0.002), (
                    row["name"],
                    name,
                )
