"""Start-up logs read back."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import DomainError, InvalidRequest
from app.service.log_reader import LONGEST_LOG, compare_log, read_log
from app.service.lookup import Lookup
from app.service.validation import validate_log
from app.settings import read_settings

from ..memory.models import ask, gpu

VLLM = """
(EngineCore pid=1) INFO [core.py:71] Initializing a V1 LLM engine (v0.19.0) with config: \
model='Qwen/Qwen2.5-7B-Instruct', speculative_config=None, dtype=torch.bfloat16, max_seq_len=8192, \
tensor_parallel_size=1, pipeline_parallel_size=1, quantization=None, enforce_eager=False, kv_cache_dtype=auto
INFO non-default args: {'max_model_len': 8192, 'gpu_memory_utilization': 0.95, 'max_num_seqs': 1024}
INFO [config.py:21] Chunked prefill is enabled with max_num_batched_tokens=8192.
INFO [gpu_model_runner.py:41] Model loading took 14.25 GiB memory and 3.2 seconds
INFO [gpu_worker.py:298] Available KV cache memory: 58.53 GiB
INFO [kv_cache_utils.py:10] GPU KV cache size: 1,096,000 tokens
INFO [kv_cache_utils.py:11] Maximum concurrency for 8,192 tokens per request: 133.79x
INFO [gpu_model_runner.py:50] Graph capturing finished in 5 secs, took 0.87 GiB
"""
SGLANG = """
server_args=ServerArgs(model_path='Qwen/Qwen3.5-9B', tp_size=2, mem_fraction_static=0.8, context_length=2048)
[TP0] Load weight begin. avail mem=22.93 GB
[TP0] Load weight end. type=Qwen3_5, dtype=torch.bfloat16, avail mem=14.08 GB, mem usage=8.85 GB.
[TP0] KV Cache is allocated. #tokens: 327310, K size: 2.50 GB, V size: 2.50 GB
[TP0] Capture cuda graph end. Time elapsed: 6.1 s. mem usage=0.26 GB. avail mem=2.1 GB.
"""
LLAMA_CPP = """
llama_model_loader: - kv   1:                               general.name str              = pythia 2.8b
print_info: file type   = F16
load_tensors:        CUDA0 model buffer size =  5049.71 MiB
load_tensors:   CPU_Mapped model buffer size =   245.62 MiB
llama_context: n_ctx         = 2048
llama_kv_cache:      CUDA0 KV buffer size =   640.00 MiB
llama_context:      CUDA0 compute buffer size =   162.00 MiB
llama_context:  CUDA_Host compute buffer size =     9.01 MiB
"""


def test_vllm() -> None:
    found = read_log(VLLM)
    assert found.request == {
        "backend": "vllm",
        "backend_version": "0.19.0",
        "model_name": "Qwen/Qwen2.5-7B-Instruct",
        "precision": "bfloat16",
        "sequence_length": 8192,
        "tensor_parallel": 1,
        "pipeline_parallel": 1,
        "enforce_eager": False,
        "gpu_memory_utilization": 0.95,
        "max_num_seqs": 1024,
        "max_num_batched_tokens": 8192,
    }
    assert found.measured == {
        "weights_gib": 14.25,
        "kv_gib": 58.53,
        "kv_tokens": 1_096_000.0,
        "max_concurrency": 133.79,
        "cuda_graph_gib": 0.87,
    }


def test_sglang() -> None:
    found = read_log(SGLANG)
    assert found.request["model_name"] == "Qwen/Qwen3.5-9B" and found.request["tensor_parallel"] == 2
    assert found.measured == {
        "free_before_gib": 22.93,
        "weights_gib": 8.85,
        "kv_tokens": 327310.0,
        "kv_gib": 5.0,
        "cuda_graph_gib": 0.26,
    }


def test_llama_cpp_counts_the_devices_buffers_only() -> None:
    found = read_log(LLAMA_CPP)
    assert found.request["quantization"] == "f16" and found.request["sequence_length"] == 2048
    assert found.measured["weights_gib"] == pytest.approx(5049.71 / 1024)
    assert found.measured["compute_buffer_gib"] == pytest.approx(162 / 1024)


def test_predicted_stands_beside_measured() -> None:
    fields = {
        k: v for k, v in read_log(VLLM).request.items() if k not in ("model_name", "backend", "precision")
    }
    rows = compare_log(read_log(VLLM), ask("Qwen2.5-7B-Instruct", gpu=gpu(memory_gb=79.19), **fields))
    assert {row["term"]: abs(row["error"]) < 0.01 for row in rows} == dict.fromkeys(
        read_log(VLLM).measured, True
    )


@pytest.mark.parametrize("text", ["", "hello\nworld", "x" * (LONGEST_LOG + 1)])
def test_what_is_no_log_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_log(text)
    assert caught.value.text("zh")


@pytest.mark.parametrize(
    "piece",
    ["Load weight end.", "KV Cache is allocated. ", "a='b', ", "file type          ", "non-default args: ",
     "n_ctx                ", "Load weight end. mem usage=\n", "K size: 1"],
)  # fmt: skip
def test_the_longest_log_is_read_in_linear_time(piece: str) -> None:
    text = ("Available KV cache memory: 1 GiB\n" + piece * (LONGEST_LOG // len(piece)))[:LONGEST_LOG]
    start = time.process_time()
    read_log(text)
    assert time.process_time() - start < 10


@given(st.text(max_size=400))
def test_noise_around_a_line_does_not_matter(noise: str) -> None:
    found = read_log(f"{noise}\nGPU KV cache size: 12,345 tokens\n")
    assert found.measured["kv_tokens"] in (12345.0, found.measured["kv_tokens"])


def test_a_log_is_validated_against_the_registry(tmp_path: Path) -> None:
    lookup = Lookup(read_settings({}, data_folder=tmp_path))
    answer, _ = validate_log(VLLM, {"gpu": {"name": "h100-sxm-80gb", "memory_gb": 79.19}}, lookup)
    assert answer["model"] == "Qwen2.5-7B-Instruct"
    assert all(abs(row["error"]) < 0.01 for row in answer["terms"])
    named, _ = validate_log(LLAMA_CPP, {"model_name": "pythia-2.8b", "attention": "eager"}, lookup)
    assert {row["term"] for row in named["terms"]} == {"weights_gib", "kv_gib", "compute_buffer_gib"}
    with pytest.raises(DomainError):
        validate_log("GPU KV cache size: 1,000 tokens", {}, lookup)
