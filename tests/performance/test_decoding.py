"""Decode steps read off as lines are the steps themselves; pipelines go at their slowest stage's pace."""

from typing import Any

import pytest

from app.performance.decoding import DecodeTimes
from tests.performance.questions import setup

DRAFT = {"draft": "Llama-3.2-1B", "num_tokens": 4}
CASES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Llama-3.1-8B", {}),
    ("Qwen3-30B-A3B", {"expert_skew": 1.0}),
    ("Llama-3.1-70B", {"pipeline_parallel": 4}),
    ("DeepSeek-V3", {"tensor_parallel": 8}),
    ("Qwen3.5-9B", {"request_rate": 1.0}),
    ("gpt-oss-20b", {"concurrency": 4}),
    ("Llama-3.1-70B", {"tensor_parallel": 4, "speculative": DRAFT}),
    ("Llama-3.1-8B", {"backend": "llama.cpp"}),
)


@pytest.mark.parametrize(("model", "values"), CASES, ids=lambda value: str(value)[:30])
def test_lines_are_the_steps_themselves(model: str, values: dict[str, Any]) -> None:
    found = setup(model, "h200-sxm-141gb", **values)
    times = DecodeTimes(found.engine, found.context)
    for sequences in (1.0, 1.5, 4.0, 37.0, 900.5):
        exact = found.engine.decode(sequences, found.context)
        assert times(sequences) == pytest.approx(exact, rel=1e-12)


def test_a_full_pipeline_goes_at_the_pace_of_its_slowest_stage() -> None:
    """The last of eight stages has the head too; alone, a token takes the sum of all."""
    found = setup("Llama-3.1-70B", "h200-sxm-141gb", pipeline_parallel=8, quantization="nvfp4")
    engine, context = found.engine, found.context
    from app.performance.roofline import Step

    def beside(sequences: float) -> float:
        return engine.rates.step + engine.rates.sequence * sequences

    alone = engine.decode(1.0, context) - beside(1.0)
    assert alone == pytest.approx(engine.seconds(Step(1.0, context)), rel=1e-9)
    full = engine.decode(64.0, context) - beside(64.0)
    step = Step(8.0, context)
    assert full == pytest.approx(8 * engine.slowest(step), rel=1e-9)
    assert full > 1.1 * engine.seconds(step)
