"""vLLM's accounts, beside figures that its own logs printed."""

import pytest

from app.memory.inference import estimate_inference, predicted_figures
from app.memory.runtimes import deploy
from app.memory.runtimes.device import device_of
from app.memory.runtimes.vllm_settings import default_batch

from ..models import ask, gpu

H100 = {
    "gpu": gpu(memory_gb=79.19),
    "backend_version": "0.19",
    "sequence_length": 8192,
    "gpu_memory_utilization": 0.95,
}


@pytest.mark.parametrize(
    ("name", "fields", "weights", "tokens", "concurrency"),
    [
        ("Qwen2.5-7B-Instruct", {}, 14.25, 1_096_000, 133.79),
        ("Qwen2.5-7B-Instruct", {"kv_cache_dtype": "fp8"}, 14.25, 2_192_000, 267.58),
        ("Qwen2.5-7B-Instruct", {"tensor_parallel": 2}, 7.12, 2_390_592, 291.82),
        ("Qwen2.5-7B-Instruct", {"tensor_parallel": 4}, 3.55, 5_043_280, 615.63),
        ("Qwen3-30B-A3B", {}, 56.88, 168_288, 20.54),
        ("gemma-2-27b-it", {"precision": "bfloat16"}, 50.72, 58_672, 7.16),
        ("Qwen2.5-7B-Instruct", {"quantization": "w8a8"}, 8.14, 1_210_272, 147.74),
    ],
)
def test_start_up_logs_of_a_published_sweep(
    name: str, fields: dict[str, object], weights: float, tokens: int, concurrency: float
) -> None:
    found = predicted_figures(ask(name, **{**H100, **fields}))  # type: ignore[arg-type]
    assert found["weights_gib"] == pytest.approx(weights, abs=0.006)
    assert found["kv_tokens"] == pytest.approx(tokens, rel=0.003)
    assert found["max_concurrency"] == pytest.approx(concurrency, rel=0.003)


@pytest.mark.parametrize(
    ("version", "peak"), [("0.15", 5.64), ("0.16", 5.64), ("0.17", 2.23), ("0.18", 2.23)]
)
def test_the_sampler_of_each_version_decides_the_peak(version: str, peak: float) -> None:
    request = ask("Qwen3-14B", gpu=gpu(memory_gb=79.19), backend_version=version, sequence_length=8192)
    assert predicted_figures(request)["activation_peak_gib"] == pytest.approx(peak, abs=0.006)


def test_defaults_follow_the_card_and_the_version() -> None:
    assert default_batch(device_of(gpu()), 19) == (8192, 1024)
    assert default_batch(device_of(gpu("a100-sxm-80gb")), 33) == (2048, 256)
    assert default_batch(device_of(gpu("b200-sxm-180gb")), 27) == (8192, 1024)
    assert default_batch(device_of(gpu("b200-sxm-180gb")), 28) == (16384, 1024)
    for version, share in (("0.19", 0.9), ("0.20", 0.92)):
        assert (
            estimate_inference(ask("Qwen3-8B", backend_version=version)).parameters["gpu_memory_utilization"]
            == share
        )


def test_graphs_lie_outside_the_budget_before_0_20() -> None:
    def room(version: str, eager: bool) -> float:
        return predicted_figures(ask("Qwen3-8B", backend_version=version, enforce_eager=eager, gpu=gpu()))[
            "kv_gib"
        ]

    assert room("0.19", True) == room("0.19", False)
    assert room("0.20", True) > room("0.20", False)


def test_an_engine_that_asks_for_too_much_does_not_start() -> None:
    found = estimate_inference(ask("Qwen3-0.6B", gpu=gpu(), gpu_memory_utilization=0.999))
    assert "cannot_start" in [warning.code for warning in found.warnings]
    assert found.extra["capacity"]["max_batch_size"] == 0


def test_logged_tokens_of_windowed_models_changed_at_0_21() -> None:
    def figures(version: str) -> dict[str, float]:
        return predicted_figures(
            ask("gpt-oss-20b", gpu=gpu(), backend_version=version, sequence_length=131072)
        )

    assert figures("0.21")["kv_tokens"] > 1.3 * figures("0.20")["kv_tokens"]
    assert figures("0.21")["max_concurrency"] == pytest.approx(figures("0.20")["max_concurrency"], rel=0.02)


def test_prefixes_of_hybrids_are_cached_from_0_28_on() -> None:
    def copies(name: str, version: str) -> int:
        groups = deploy(ask(name, backend_version=version)).groups  # type: ignore[attr-defined]
        return max(spec.copies for spec, _ in groups.specs)

    assert [copies("Qwen3-Next-80B-A3B-Instruct", version) for version in ("0.19", "0.25", "0.28")] == [
        1,
        1,
        2,
    ]
    assert copies("mamba2-1.3b", "0.33") == 1


def test_experts_are_divided_over_data_parallel_ranks() -> None:
    one = deploy(ask("Qwen3-30B-A3B", tensor_parallel=2))
    two = deploy(ask("Qwen3-30B-A3B", tensor_parallel=2, data_parallel=2, expert_parallel=4))
    assert two.model_bytes(two.stages[0]) < 0.6 * one.model_bytes(one.stages[0])
    dense = deploy(ask("Qwen3-8B", data_parallel=2))
    assert dense.model_bytes(dense.stages[0]) == deploy(ask("Qwen3-8B")).model_bytes(dense.stages[0])


def test_decode_context_ranks_share_full_attention_tokens() -> None:
    one = estimate_inference(
        ask("DeepSeek-V3", tensor_parallel=8, gpu=gpu("h200-sxm-141gb"), sequence_length=65536)
    )
    four = estimate_inference(
        ask(
            "DeepSeek-V3",
            tensor_parallel=8,
            context_parallel=4,
            gpu=gpu("h200-sxm-141gb"),
            sequence_length=65536,
        )
    )
    ratio = four.extra["capacity"]["max_concurrency"] / one.extra["capacity"]["max_concurrency"]
    assert ratio == pytest.approx(4, rel=0.01)
