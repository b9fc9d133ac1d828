"""llama.cpp against published llama-bench figures (XiongjieDai/GPU-Benchmarks-on-LLM-Inference, May 2024)."""

import pytest

from app.performance.inference import estimate_performance
from tests.performance.questions import ask, setup


@pytest.mark.parametrize(
    ("gpu", "quantization", "measured"),
    [
        ("rtx-4090", "q4_k_m", 127.7),
        ("rtx-4090", "none", 54.3),
        ("a100-pcie-80gb", "q4_k_m", 138.3),
        ("m2-ultra-192gb", "q4_k_m", 76.3),
    ],
)
def test_generation(gpu: str, quantization: str, measured: float) -> None:
    found = estimate_performance(
        ask("Meta-Llama-3-8B", gpu, backend="llama.cpp", quantization=quantization, precision="float16",
            attention="eager", input_length=1, output_length=1024)
    )  # fmt: skip
    assert 1e3 / found.figures["tpot_ms"] == pytest.approx(measured, rel=0.15)


def test_devices_take_turns() -> None:
    """A second card makes no token sooner, but lets prompts flow."""
    one, four = (
        estimate_performance(
            ask("Meta-Llama-3-8B", "rtx-4090", backend="llama.cpp", pipeline_parallel=n, input_length=4096)
        ).figures
        for n in (1, 4)
    )
    assert four["tpot_ms"] > one["tpot_ms"]
    assert four["ttft_ms"] < one["ttft_ms"]


def test_flash_attention_spares_scores() -> None:
    slow, fast = (
        setup(backend="llama.cpp", gpu="rtx-4090", attention=attention).engine.prefill(1, 8192)
        for attention in ("eager", None)
    )
    assert fast < slow
