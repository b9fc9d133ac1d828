"""Nothing beats physics: no answer lies under the roofline's floor."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.performance.inference import estimate_performance
from app.performance.roofline import Step
from app.performance.setup import set_up
from app.performance.step import floor
from tests.performance.questions import ask

MODELS = ("Llama-3.1-8B", "Qwen3-30B-A3B", "Llama-3.1-70B", "gpt-oss-20b", "gemma-2-9b")
GPUS = ("h100-sxm-80gb", "a100-sxm-80gb", "l40s", "mi300x-192gb", "b200-sxm-180gb", "rtx-4090", "mi250-128gb")


@settings(max_examples=60, deadline=None)
@given(
    model=st.sampled_from(MODELS),
    gpu=st.sampled_from(GPUS),
    backend=st.sampled_from(["vllm", "sglang", "tensorrt-llm", "llama.cpp", "transformers"]),
    batch=st.integers(1, 256),
    read=st.integers(1, 16384),
    written=st.integers(2, 2048),
)
def test_static(model: str, gpu: str, backend: str, batch: int, read: int, written: int) -> None:
    request = ask(model, gpu, backend=backend, batch_size=batch, input_length=read, output_length=written)
    setup = set_up(request)
    found = estimate_performance(request)
    rates, works = setup.engine.rates, setup.engine.stages[0].works
    held = min(batch, setup.room)
    step = floor(works, Step(decoding=held, context=setup.context), rates)
    prompt = floor(works, Step(prompts=held, length=read), rates)
    assert found.figures["tpot_ms"] > 1e3 * step
    assert found.figures["ttft_ms"] > 1e3 * prompt
    assert all(0 < share < 1 for name, share in found.utilization.items() if name != "memory_capacity")


@pytest.mark.parametrize("rate", [0.5, 5.0, 50.0])
def test_under_load(rate: float) -> None:
    request = ask(request_rate=rate)
    setup, found = set_up(request), estimate_performance(request)
    works, rates = setup.engine.stages[0].works, setup.engine.rates
    alone = 1e3 * floor(works, Step(decoding=1, context=request.input_length), rates)
    assert found.figures["itl_ms"] > alone
    assert found.percentiles is not None
    assert found.percentiles["itl_ms"]["p50"] > alone
    assert found.percentiles["ttft_ms"]["p50"] > 1e3 * floor(works, Step(prompts=1, length=512), rates)
    assert all(value < 1 for value in found.utilization.values())
