"""Runtimes without published measurements say so, and with a range."""

import pytest

from app.memory.inference import estimate_inference

from ..models import ask


@pytest.mark.parametrize(
    ("backend", "said"), [("tgi", True), ("tensorrt-llm", True), ("transformers", False)]
)
def test_a_runtime_that_nobody_measured_is_said(backend: str, said: bool) -> None:
    estimate = estimate_inference(ask("Qwen3-8B", backend=backend))
    assert ("runtime_unmeasured" in {message.code for message in estimate.warnings}) is said
    if said:
        overhead = next(term for term in estimate.fullest.terms if term.name == "framework_overhead")
        assert overhead.low is not None and overhead.high is not None
        assert overhead.low < overhead.bytes < overhead.high
