"""The comparison with others: cases by rule, told to everybody alike, figures that mean the same."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from bench import side_by_side
from bench.side_by_side import README, RIVALS, ROWS, TOOLS, case_of, chosen, marks, memory_cases
from tests.performance.questions import lookup


def protocol() -> ModuleType:
    """The tools' own half, which is a script of theirs and no module of ours."""
    spec = importlib.util.spec_from_file_location("protocol", RIVALS / "protocol.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_source_device_and_runtime_has_its_case() -> None:
    rows = [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()]
    usable = [row for row in rows if not row.get("excluded") and row["confidence"] != "low"]
    found = chosen()
    assert len(found) >= 10
    assert {row["group"] for row in found} == {row["group"] for row in usable}
    assert chosen() == found, "the rule leaves no choice"


def test_cases_are_told_in_full() -> None:
    rows = chosen()
    cases = [case_of(row, lookup()) for row in rows[:: max(1, len(rows) // 12)]]
    for case in cases:
        assert json.loads(json.dumps(case)) == case
        assert case["gpu"]["memory_gb"] and case["gpu"]["bandwidth"] and case["gpu"]["tflops"]
        assert case["model"]["layers"] and case["model"]["hidden"] and case["model"]["parameters_b"] > 0
        assert case["load"] in ("static", "closed", "flood", "rate")


def test_cases_of_memory_ask_for_the_full_length() -> None:
    rows, cases = memory_cases(lookup())
    assert len(rows) == len(cases) >= 5
    assert all(case["input_length"] == case["request"]["sequence_length"] for case in cases)
    assert all(
        row["measured"] > 0 and case["load"] == "memory" for row, case in zip(rows, cases, strict=True)
    )


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("ttft_ms", 500),
        ("tpot_ms", 20),
        ("e2e_latency_ms", 2480),
        ("tpot_ms_all_tokens", 24.8),
        ("output_tokens_per_sec", 8 * 100 / 2.48),
        ("throughput_tokens_per_sec", 8 * 300 / 2.48),
        ("prompt_tokens_per_sec", 3200),
        ("generated_tokens_per_sec", 400),
    ],
)
def test_figures_of_a_batch(metric: str, value: float) -> None:
    case = {"metric": metric, "input_length": 200, "output_length": 100}
    assert protocol().figure(case, 0.5, 0.02, 8) == pytest.approx(value)


def test_every_tool_has_its_script_and_the_page_its_place() -> None:
    assert {path.stem for path in Path(RIVALS).glob("ask_*.py")} == {f"ask_{tool}" for tool in TOOLS}
    text = README.read_text(encoding="utf-8")
    for what in ("speed", "memory"):
        begin, end = marks(what)
        assert text.index(begin) < text.index(end)
    assert all(wanted.partition("==")[0] in text for wanted in TOOLS.values() if wanted)


def test_errors_are_of_the_measured_value() -> None:
    row = {"measured": 50.0}
    assert side_by_side.error(60.0, row) == pytest.approx(0.2)
    assert side_by_side.size_of([-0.3, 0.1, 0.2]) == "20% | 30%"
