"""A batch that starts together: definitions that hold exactly, and the way figures move."""

import pytest

from app.performance.inference import estimate_performance
from tests.performance.questions import ask, setup


def figures(**values: object) -> dict[str, float]:
    return dict(estimate_performance(ask(**values)).figures)  # type: ignore[arg-type]


@pytest.mark.parametrize("batch", [1, 16, 2000])
def test_latency_is_the_first_token_and_the_others(batch: int) -> None:
    found = figures(batch_size=batch)
    assert found["e2e_latency_ms"] == pytest.approx(found["ttft_ms"] + 127 * found["tpot_ms"])
    assert found["itl_ms"] == found["tpot_ms"]
    assert found["requests_per_sec"] == pytest.approx(batch / found["e2e_latency_ms"] * 1e3)
    assert found["throughput_tokens_per_sec"] == pytest.approx(640 * found["requests_per_sec"])


def test_replicas_share_a_batch() -> None:
    one, two = figures(batch_size=8), figures(batch_size=16, data_parallel=2)
    assert two["tpot_ms"] == pytest.approx(one["tpot_ms"], rel=0.01)
    assert two["output_tokens_per_sec"] == pytest.approx(2 * one["output_tokens_per_sec"], rel=0.01)


@pytest.mark.parametrize(
    ("faster", "slower", "figure"),
    [
        ({"gpu": "h200-sxm-141gb"}, {}, "tpot_ms"),
        ({"quantization": "fp8"}, {}, "tpot_ms"),
        ({"quantization": "fp8"}, {}, "ttft_ms"),
        ({"tensor_parallel": 2}, {}, "tpot_ms"),
        ({"prefix_hit_rate": 0.8}, {}, "ttft_ms"),
        ({}, {"enforce_eager": True}, "tpot_ms"),
        ({"kv_cache_dtype": "fp8", "batch_size": 64}, {"batch_size": 64}, "tpot_ms"),
        ({}, {"batch_size": 64}, "tpot_ms"),
        ({}, {"input_length": 4096}, "ttft_ms"),
        ({"model": "Llama-3.1-70B", "tensor_parallel": 16}, {"model": "Llama-3.1-70B"}, "ttft_ms"),
        (
            {"tensor_parallel": 2, "gpu": {"name": "l40s", "interconnect_gb_s": 900}},
            {"tensor_parallel": 2, "gpu": "l40s"},
            "ttft_ms",
        ),
        ({"tpot_definition": "after_first"}, {"tpot_definition": "all_tokens"}, "tpot_ms"),
    ],
)
def test_what_is_faster(faster: dict[str, object], slower: dict[str, object], figure: str) -> None:
    assert figures(**faster)[figure] < figures(**slower)[figure]


def test_skew_spares_experts_at_small_batches() -> None:
    alike, skewed = (
        figures(model="Qwen3-30B-A3B", gpu="h200-sxm-141gb", batch_size=8, expert_skew=s) for s in (0.0, 1.2)
    )
    assert skewed["tpot_ms"] < alike["tpot_ms"]


def test_speculation_pays_at_small_batches_only() -> None:
    def gain(batch: int) -> float:
        draft = {"draft": "Llama-3.2-1B", "num_tokens": 4, "acceptance_rate": 0.7}
        values = {"gpu": "h200-sxm-141gb", "batch_size": batch, "output_length": 64}
        plain = figures(model="Llama-3.1-70B", **values, tensor_parallel=4)
        drafted = figures(model="Llama-3.1-70B", **values, tensor_parallel=4, speculative=draft)
        return plain["tpot_ms"] / drafted["tpot_ms"]

    assert gain(1) > 1.4
    assert gain(512) < gain(1) / 1.3


def test_stages_read_prompts_side_by_side() -> None:
    """A pipeline makes no token sooner, but reads many prompts in less than the sum of its stages."""
    whole = figures(model="Llama-3.1-70B", gpu="h200-sxm-141gb", batch_size=32)
    piped = figures(model="Llama-3.1-70B", gpu="h200-sxm-141gb", batch_size=32, pipeline_parallel=4)
    assert piped["ttft_ms"] < whole["ttft_ms"] / 2


def test_more_than_runs_at_once_follows_in_waves() -> None:
    found = estimate_performance(ask(gpu="rtx-4090", batch_size=400))
    assert "speed_in_waves" in {message.code for message in found.warnings}
    held = estimate_performance(ask(gpu="rtx-4090", batch_size=setup(gpu="rtx-4090").room))
    assert found.figures["tpot_ms"] == pytest.approx(held.figures["tpot_ms"])
    assert found.figures["ttft_ms"] > held.figures["e2e_latency_ms"]


def test_what_does_not_fit_is_said() -> None:
    found = estimate_performance(ask("Llama-3.1-70B", "rtx-4090"))
    assert "speed_does_not_fit" in {message.code for message in found.warnings}


def test_a_batch_of_answers_that_differ_ends_with_its_longest() -> None:
    assert figures(batch_size=32, length_cv=1.0)["e2e_latency_ms"] > figures(batch_size=32)["e2e_latency_ms"]


def test_operations_add_up_to_the_time() -> None:
    request = ask(batch_size=4, top_ops=1000)
    found = estimate_performance(request)
    assert sum(each.share for each in found.operations) == pytest.approx(1.0)
    decode = sum(each.ms for each in found.operations if each.phase == "decode")
    assert decode == pytest.approx(found.figures["tpot_ms"], rel=0.02)
    shares = [each.share for each in found.operations]
    assert shares == sorted(shares, reverse=True)
    assert sum(found.time_shares.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("values", "bottleneck"),
    [
        ({"batch_size": 1}, "memory_bandwidth"),
        ({"input_length": 8192, "output_length": 1, "batch_size": 8}, "compute"),
        ({"gpu": "l40s", "tensor_parallel": 8, "batch_size": 64, "output_length": 2}, "interconnect"),
        ({"model": "Qwen3-0.6B", "backend": "transformers"}, "overhead"),
    ],
)
def test_bottlenecks(values: dict[str, object], bottleneck: str) -> None:
    assert estimate_performance(ask(**values)).bottleneck == bottleneck  # type: ignore[arg-type]


def test_money() -> None:
    found = estimate_performance(ask(price_per_hour=3.6, tensor_parallel=2, batch_size=8))
    tokens = found.figures["throughput_tokens_per_sec"]
    assert found.cost_per_million_tokens == pytest.approx(2 * 3.6 / 3600 / tokens * 1e6)
    assert estimate_performance(ask(gpu="rtx-4080")).cost_per_million_tokens is None
