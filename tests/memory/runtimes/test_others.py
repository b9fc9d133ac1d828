"""SGLang, llama.cpp, transformers and the rest, beside figures of their own logs."""

import pytest

from app.memory.inference import estimate_inference, predicted_figures
from app.memory.runtimes import deploy
from app.memory.runtimes.sglang import SglangDeployment, chunk_and_graphs, decode_sizes

from ..models import ask, gpu

GIB = 2**30


def test_sglang_sizes_its_pool_as_its_log_says() -> None:
    """Qwen3-14B on four ranks, mem_fraction_static 0.8, 23.08 GiB free before loading."""
    request = ask("Qwen3-14B", backend="sglang", tensor_parallel=4, gpu_memory_utilization=0.8,
                  gpu=gpu("rtx-4090", 23.08 + 1.5), sequence_length=40960)  # fmt: skip
    found = predicted_figures(request)
    assert found["kv_tokens"] == pytest.approx(298_447, rel=0.006)
    assert found["weights_gib"] == pytest.approx(7.08, rel=0.01)


def test_sglang_shares_out_states_and_tokens() -> None:
    request = ask("Qwen3.5-9B", backend="sglang", tensor_parallel=2, gpu_memory_utilization=0.8,
                  gpu=gpu("rtx-4090", 22.93 + 1.5), sequence_length=262144, precision="bfloat16")  # fmt: skip
    deployment = deploy(request)
    assert isinstance(deployment, SglangDeployment)
    stage = deployment.stages[0]
    assert deployment.state(stage) == 24 * (16 * 128 * 128 * 4 + 4096 * 3 * 2)
    assert deployment.slots(stage) == pytest.approx(186, abs=3)
    assert deployment.tokens == pytest.approx(327_310, rel=0.01)


def test_sglang_reserves_by_the_card() -> None:
    assert chunk_and_graphs(15 * 1024, 1) == (2048, 8)
    assert decode_sizes(24) == (1, 2, 4, 8, 12, 16, 24)
    fraction = estimate_inference(ask("Llama-3.1-8B", backend="sglang", gpu=gpu())).parameters[
        "gpu_memory_utilization"
    ]
    assert fraction == pytest.approx(0.83, abs=0.02)


def test_llama_cpp_buffers_as_its_log_says() -> None:
    """pythia-2.8b, f16, 2048 cells, no flash attention."""
    request = ask(
        "pythia-2.8b", backend="llama.cpp", quantization="f16", attention="eager", sequence_length=2048
    )
    found = predicted_figures(request)
    assert found["weights_gib"] * 1024 == pytest.approx(5049.71, rel=0.0005)
    assert found["kv_gib"] * 1024 == pytest.approx(640.0)
    assert found["compute_buffer_gib"] * 1024 == pytest.approx(162.0, rel=0.07)


@pytest.mark.parametrize(
    ("quantization", "gib"),
    [("q2_k", 2.95), ("q4_k_m", 4.58), ("q6_k", 6.14), ("q8_0", 7.95), ("iq1_s", 1.87), ("iq4_xs", 4.17)],
)
def test_gguf_sizes_as_published(quantization: str, gib: float) -> None:
    found = predicted_figures(ask("Llama-3.1-8B", backend="llama.cpp", quantization=quantization))
    assert found["gguf_gib"] == pytest.approx(gib, rel=0.005)


def test_llama_cpp_keeps_what_does_not_fit_on_the_cpu() -> None:
    found = estimate_inference(
        ask("Llama-3.1-70B", backend="llama.cpp", quantization="q4_k_m", gpu=gpu("rtx-4090"))
    )
    layers = found.extra["capacity"]["gpu_layers"]
    assert 20 < layers < 60
    assert "partial_offload" in [warning.code for warning in found.warnings]


def test_ollama_keeps_more_of_a_card_free() -> None:
    totals = [estimate_inference(ask("Llama-3.1-8B", backend=b)).total for b in ("ollama", "llama.cpp")]
    assert totals[0] - totals[1] == (457 - 350) * 2**20


def test_tensorrt_llm_takes_a_share_of_what_is_free() -> None:
    deployment = deploy(ask("Llama-3.1-8B", backend="tensorrt-llm", gpu=gpu()))
    stage = deployment.stages[0]
    taken = sum(term.bytes for term in deployment.terms(stage) if term.name != "kv_cache")
    assert deployment.room(stage, 1, 1) == int(0.9 * (deployment.device.total - taken))


def test_eager_attention_writes_scores_out() -> None:
    def activation(attention: str) -> int:
        terms = estimate_inference(
            ask("Llama-3.1-8B", backend="transformers", attention=attention)
        ).fullest.terms
        return sum(term.bytes for term in terms if term.name == "activation_memory")

    assert activation("eager") - activation("sdpa") > 32 * 2048 * 2048 * 4


def test_windows_differ_between_runtimes() -> None:
    sizes = {
        backend: next(
            term.bytes
            for term in estimate_inference(
                ask("gpt-oss-20b", backend=backend, sequence_length=65536, backend_version=version)
            ).fullest.terms
            if term.name == "kv_cache"
        )
        for backend, version in (("vllm", "0.19"), ("sglang", None), ("transformers", None), ("tgi", None))
    }
    assert sizes["transformers"] < sizes["vllm"] < sizes["sglang"] < sizes["tgi"]
