"""FSDP2 beside what torch's MemTracker measured over a group of fake ranks, and the arithmetic of ZeRO."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from app.memory.training.follow import follow
from app.memory.training.mode import TRACED_CPU
from app.memory.training.setup import Question, set_up
from app.memory.training.sharding import Sharding, sharding_of
from tests.memory.training.predicted import request_of

GOLDEN = Path(__file__).parents[2] / "golden" / "fsdp_peaks.json"
ROWS: list[dict[str, Any]] = json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['case']['config']['model_type']}-{row['ranks']}")
def test_fsdp2_peaks(row: dict[str, Any]) -> None:
    request = replace(request_of(row["case"]), fsdp="fsdp2", data_parallel=row["ranks"])
    setup = set_up(Question(request, TRACED_CPU))
    ours = {name: held.total for name, held in follow(setup.steps[0], request).items()}
    assert max(ours.values()) == pytest.approx(max(row["phases"].values()), rel=0.05)
    assert ours["optimizer_step"] == pytest.approx(row["phases"]["optimizer_step"], rel=1e-4)
    assert ours["loss"] == pytest.approx(row["phases"]["loss"], rel=0.01)


def test_zero_divides_what_its_stage_says() -> None:
    base = request_of(ROWS[0]["case"])
    parts = [sharding_of(replace(base, zero_stage=stage, data_parallel=8)) for stage in (1, 2, 3)]
    assert [(s.weights, s.gradients, s.states) for s in parts] == [(1, 1, 8), (1, 8, 8), (8, 8, 8)]
    assert sharding_of(base) == Sharding()


def test_hybrid_sharding_stays_in_a_machine() -> None:
    base = request_of(ROWS[0]["case"])
    assert sharding_of(replace(base, fsdp="hsdp", data_parallel=32, gpus_per_node=8)).weights == 8


def test_context_parallel_ranks_share_too() -> None:
    base = request_of(ROWS[0]["case"])
    assert sharding_of(replace(base, fsdp="fsdp2", data_parallel=4, context_parallel=2)).states == 8
