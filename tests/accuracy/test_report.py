"""The published measurements, evaluated now, beside the report that ships."""

from pathlib import Path
from typing import Any

import pytest

from app.accuracy import accuracy_report
from app.accuracy.evaluate import Row, evaluate
from app.accuracy.runs import read_runs
from app.accuracy.summary import describe, quantile
from app.service.lookup import Lookup
from app.settings import read_settings
from scripts.accuracy import asker

RUNS = Path(__file__).resolve().parents[2] / "validation" / "memory.jsonl"


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    lookup = Lookup(read_settings({}, data_folder=tmp_path_factory.mktemp("data")))
    return evaluate(read_runs(RUNS), asker(lookup))[0]


def of(rows: list[Row], *terms: str) -> dict[str, Any]:
    return describe([row for row in rows if row.runtime == "vllm" and row.term in terms])


@pytest.mark.parametrize(
    ("terms", "median", "p90"),
    [
        (("weights_gib",), 0.001, 0.005),
        (("kv_tokens", "max_concurrency"), 0.003, 0.02),
        (("activation_peak_gib",), 0.01, 0.05),
        (("overhead_gib",), 0.05, 0.15),
    ],
)
def test_start_up_logs_of_vllm(rows: list[Row], terms: tuple[str, ...], median: float, p90: float) -> None:
    found = of(rows, *terms)
    assert found["rows"] >= 25
    assert found["median"] <= median and found["p90"] <= p90


def test_every_gguf_size_is_within_half_a_percent(rows: list[Row]) -> None:
    sizes = [row for row in rows if row.term == "gguf_gib"]
    assert len(sizes) >= 25
    assert max(abs(row.error) for row in sizes) <= 0.005


def test_the_shipped_report_still_holds(rows: list[Row]) -> None:
    """Rows may have come since (models newly covered); `make accuracy` brings the report up to date."""
    now = {(row.run, row.term): row.predicted for row in rows}
    for row in accuracy_report()["rows"]:
        assert now[row["run"], row["term"]] == pytest.approx(row["predicted"], rel=1e-3, abs=1e-3)


def test_every_run_has_a_source_and_a_group() -> None:
    runs = list(read_runs(RUNS))
    assert len({run.id for run in runs}) == len(runs)
    assert all(run.source and run.group and run.confidence in ("high", "medium", "low") for run in runs)
    assert all(run.measured or run.beyond for run in runs)


def test_quantiles_lie_between_neighbours() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([0.0, 10.0], 0.9) == 9.0
