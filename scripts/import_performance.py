"""Bring published measurements of serving into `validation/performance.jsonl`: a request, a value, a source.

    python scripts/import_performance.py published.jsonl

Each line read has `id, kind, model, what, value, unit, conditions, source, confidence`. Rows that cannot be
asked (a device or model that is not known, conditions not stated) are left out; rows that must not be fitted
or compared carry `excluded` with the reason.
"""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "validation" / "performance.jsonl"
Row = Mapping[str, Any]

GPUS: Mapping[str, Any] = {
    "NVIDIA H200 SXM 141GB": "h200-sxm-141gb",
    "NVIDIA H100 SXM 80GB": "h100-sxm-80gb",
    "NVIDIA H100 80GB": "h100-sxm-80gb",
    "NVIDIA H100": "h100-sxm-80gb",
    "NVIDIA H100 (JLSE; form factor not in row)": "h100-sxm-80gb",
    "NVIDIA GH200": "gh200-96gb",
    "NVIDIA GH200 480GB": "gh200-96gb",
    "NVIDIA A100-SXM4-80GB": "a100-sxm-80gb",
    "NVIDIA A100 SXM 80GB": "a100-sxm-80gb",
    "NVIDIA A100 80GB": "a100-sxm-80gb",
    "NVIDIA A100 (memory size not in row)": "a100-sxm-40gb",
    "NVIDIA L40S": "l40s",
    "NVIDIA L40S 48GB": "l40s",
    "AMD MI300X": "mi300x-192gb",
    "AMD MI300X 192GB": "mi300x-192gb",
    "AMD MI250": "mi250-128gb",
    "NVIDIA GeForce RTX 4090 24GB": "rtx-4090",
    "NVIDIA GeForce RTX 4090": "rtx-4090",
    "NVIDIA GeForce RTX 4080 16GB": "rtx-4080",
    "NVIDIA GeForce RTX 3090 24GB": "rtx-3090",
    "NVIDIA H100 PCIe 80GB": "h100-pcie-80gb",
    "NVIDIA A100 PCIe 80GB": "a100-pcie-80gb",
    "NVIDIA A40 48GB": "a40",
    "NVIDIA RTX A6000 48GB": "rtx-a6000",
    "NVIDIA GB10 (DGX Spark)": "dgx-spark-gb10",
    "Apple M2 Ultra 76-Core GPU 192GB": "m2-ultra-192gb",
    "Apple M1 Max 32‑Core GPU 64GB": "m1-max-64gb",
    "Apple M3 Max 40‑Core GPU 64GB": "m3-max-128gb",
    # Datasheet figures of cards that the registry does not have.
    "NVIDIA RTX 5000 Ada 32GB": {
        "memory_gb": 32, "memory_bandwidth_gb_s": 576, "tflops": {"fp32": 65.3, "fp16": 261.1},
        "architecture": "Ada Lovelace", "vendor": "NVIDIA",
    },
    "NVIDIA GeForce RTX 3080 Ti 12GB": {
        "memory_gb": 12, "memory_bandwidth_gb_s": 912, "tflops": {"fp32": 34.1, "fp16": 136.4},
        "architecture": "Ampere", "vendor": "NVIDIA",
    },
    "NVIDIA GeForce RTX 3070 8GB": {
        "memory_gb": 8, "memory_bandwidth_gb_s": 448, "tflops": {"fp32": 20.3, "fp16": 81.3},
        "architecture": "Ampere", "vendor": "NVIDIA",
    },
    "NVIDIA GeForce RTX 4070 Ti 12GB": {
        "memory_gb": 12, "memory_bandwidth_gb_s": 504, "tflops": {"fp32": 40.1, "fp16": 160.4},
        "architecture": "Ada Lovelace", "vendor": "NVIDIA",
    },
}  # fmt: skip
MODELS: Mapping[str, str] = {
    "Llama 3.1 8B": "Llama-3.1-8B",
    "Llama 3.1 70B": "Llama-3.1-70B",
    "Mistral 7B": "Mistral-7B-v0.3",
    "Mixtral 8x7B": "Mixtral-8x7B-v0.1",
    "Mixtral 8x22B": "Mixtral-8x22B-v0.1",
    "GPT-J 6B": "gpt-j-6b",
    "LLaMA 7B": "llama-7b",
    "LLaMA 70B (Llama 2)": "Llama-2-70b-hf",
    "Falcon 180B": "falcon-180B",
    "Llama 3 8B": "Meta-Llama-3-8B",
    "Llama 3 70B": "Meta-Llama-3-70B",
    "gpt-oss 20B MXFP4 MoE": "gpt-oss-20b",
    "gpt-oss 120B MXFP4 MoE": "gpt-oss-120b",
    "GPT-OSS-120B": "gpt-oss-120b",
    "DeepSeek-R1": "DeepSeek-R1",
    "RedHatAI/Llama-4-Scout-17B-16E-Instruct-FP8-dynamic": "Llama-4-Scout-17B-16E-Instruct",
    "codellama/CodeLlama-34b-Instruct-hf": "CodeLlama-34b-hf",
    "deepseek-ai/DeepSeek-V3.2": "DeepSeek-V3.2",
    "zai-org/GLM-5.2-FP8": "GLM-5.2-FP8",
}
KEPT = (
    "runtime",
    "version",
    "gpu",
    "num_gpus",
    "batching",
    "dataset",
    "num_requests",
    "note",
    "flags",
    "bench",
    "test",
)
LONG = 1024  # output tokens from which reading the prompt hardly counts
FLOOD = 100  # requests at once from which a short run never settles
UNKNOWN_MODELS = ("Deci/", "BAAI/Aquila")
FORMATS = {"FP8": "fp8", "fp8": "fp8", "FP16": "none", "F16": "none", "Q4_K_M": "q4_k_m", "AWQ": "awq"}


def main() -> int:
    """Read, turn into requests, write."""
    found = []
    for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["kind"] == "inference" and (made := turned(row)) is not None:
            found.append(made)
    found = [per_token(row) for row in found]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found)
    OUT.write_text(text, encoding="utf-8")
    print(f"{len(found)} rows, {sum('excluded' not in row for row in found)} of them usable")
    return 0


def turned(row: Row) -> dict[str, Any] | None:
    """One row as a request with its measured value; None where it cannot be asked."""
    source = row["id"].split("-")[0]
    make = SOURCES.get(source)
    gpu = GPUS.get(row["conditions"]["gpu"])
    if make is None or gpu is None or row["model"].startswith(UNKNOWN_MODELS):
        return None
    made = make(row)
    if made is None:
        return None
    request, metric, value = made
    name = MODELS.get(row["model"], row["model"])
    result = {
        "id": row["id"],
        "group": source,
        "model": row["model"],
        "metric": metric,
        "measured": value,
        "request": {"model_name": name, "gpu": gpu, **request},
        "conditions": {
            k: v for k, v in row["conditions"].items() if k not in ("serve_command", "os", "section")
        },
        "confidence": row["confidence"],
        "source": row["source"],
    }
    if reason := excluded(source, row, request):
        result["excluded"] = reason
    return result


Made = tuple[dict[str, Any], str, float]


def sized(c: Row, **more: Any) -> dict[str, Any]:
    """Lengths and layout."""
    return {
        "input_length": max(1, round(c["isl"])),
        "output_length": max(1, round(c.get("osl") or 1)),
        "tensor_parallel": c.get("tp") or c["num_gpus"],
        **more,
    }


def static_trt(row: Row, version: str) -> Made | None:
    """TensorRT-LLM's own tables: one static batch, or requests all at once."""
    c = row["conditions"]
    metric = {"output_tokens_per_s": "output_tokens_per_sec", "ttft_ms": "ttft_ms"}.get(row["what"])
    if metric is None or "batch" not in c:
        return None
    batch = c["batch"] if isinstance(c["batch"], int) else c["num_requests"]
    request = sized(c, backend="tensorrt-llm", backend_version=version, batch_size=batch)
    if (found := FORMATS.get(c["quantization"])) not in (None, "none"):
        request["quantization"] = found
    if c.get("kv_cache_dtype") == "fp8":
        request["kv_cache_dtype"] = "fp8"
    return request, metric, row["value"]


def trt014(row: Row) -> Made | None:
    """Online serving at a rate."""
    c = row["conditions"]
    if not isinstance(c["request_rate"], int | float):
        return None
    metrics = {"ttft_ms": "ttft_ms", "itl_ms": "itl_ms", "output_tokens_per_s": "output_tokens_per_sec"}
    request = sized(
        c,
        backend="tensorrt-llm",
        backend_version="0.14",
        request_rate=c["request_rate"],
        num_requests=c["num_requests"],
    )
    return request, metrics[row["what"]], row["value"]


def argonne(row: Row) -> Made | None:
    """One static batch on several runtimes."""
    c = row["conditions"]
    if c.get("parallelism") and c["parallelism"] != "TP":
        return None
    runtimes = {
        "vLLM": ("vllm", "0.5"),
        "TensorRT-LLM": ("tensorrt-llm", "0.8"),
        "Deepspeed-MII": ("deepspeed-mii", "0.2"),
    }
    if c["runtime"] not in runtimes:
        return None
    backend, version = runtimes[c["runtime"]]
    request = sized(c, backend=backend, backend_version=version, batch_size=c["batch"], precision="float16")
    metrics = {
        "total_tokens_per_s": "throughput_tokens_per_sec",
        "ttft_ms": "ttft_ms",
        "e2e_latency_ms": "e2e_latency_ms",
    }
    return request, metrics[row["what"]], row["value"]


def amd(row: Row) -> Made | None:
    """vLLM's latency benchmark on ROCm."""
    c = row["conditions"]
    if row["what"] != "e2e_latency_ms":
        return None
    request = sized(
        c,
        backend="vllm",
        backend_version="0.10",
        batch_size=c["batch"],
        quantization="fp8",
        kv_cache_dtype="fp8",
    )
    return request, "e2e_latency_ms", row["value"]


def gpustack(row: Row) -> Made | None:
    """Servers of 2025 and later, flooded with requests or at a few at a time."""
    c = row["conditions"]
    backend = {"vLLM": "vllm", "SGLang": "sglang", "TensorRT-LLM": "tensorrt-llm"}.get(c["runtime"])
    metrics = {"output_tokens_per_s": "output_tokens_per_sec", "ttft_ms": "ttft_ms", "tpot_ms": "tpot_ms"}
    if backend is None or row["what"] not in metrics or c.get("speculative"):
        return None
    if c["osl"] < 8 or c.get("dp") or c.get("ep"):
        return None
    version = re.search(rf"{re.escape(c['runtime'])}:? v?([\d.]+)", c["version"])
    stated = version.group(1) if version and backend != "tensorrt-llm" else None
    more: dict[str, Any] = {"backend": backend, "backend_version": stated}
    rate = float(c["request_rate"])
    if rate <= FLOOD:
        more["request_rate"] = rate
    elif isinstance(c["concurrency"], int):
        more["concurrency"] = c["concurrency"]
    else:
        more["concurrency"] = c["num_requests"]
    more["num_requests"] = c["num_requests"]
    if c["dataset"] == "ShareGPT":
        more["length_cv"] = 1.0
    if FORMATS.get(c["quantization"]) not in (None, "none"):
        more["quantization"] = FORMATS[c["quantization"]]
    return sized(c, **more), metrics[row["what"]], row["value"]


def sim2real(row: Row) -> Made | None:
    """vLLM at a rate of one stage; the version is not stated."""
    c = row["conditions"]
    rate = c["request_rate"]
    if isinstance(rate, str):
        found = re.match(r"([\d.]+) req/s \(", rate)
        if found is None:
            return None
        rate = float(found.group(1))
    request = sized(
        c,
        backend="vllm",
        backend_version="0.11",
        request_rate=float(rate),
        max_num_batched_tokens=c["max_num_batched_tokens"],
        length_cv=1.0,
    )
    if c["quantization"] == "FP8":
        request["quantization"] = "fp8"
    return request, row["what"], row["value"]


def llama_bench(row: Row) -> Made | None:
    """llama-bench: a prompt alone, or tokens behind nothing."""
    c = row["conditions"]
    prompt = row["what"] == "pp_tokens_per_s"
    request: dict[str, Any] = {
        "backend": "llama.cpp",
        "input_length": c["isl"] if prompt else 1,
        "output_length": 1 if prompt else c["osl"],
        "pipeline_parallel": c["num_gpus"],
        "attention": "eager",
    }
    request |= {"quantization": "q4_k_m"} if c["quantization"] == "Q4_K_M" else {"precision": "float16"}
    return request, "prompt_tokens_per_sec" if prompt else "generated_tokens_per_sec", row["value"]


def spark(row: Row) -> Made | None:
    """llama-batched-bench and llama-bench on one machine: batches, and contexts already filled."""
    c = row["conditions"]
    prompt = row["what"] == "pp_tokens_per_s"
    depth, batch = c.get("context_depth", 0), c["batch"]
    request: dict[str, Any] = {"backend": "llama.cpp", "batch_size": batch, "max_num_batched_tokens": 2048}
    if prompt:
        request |= {"input_length": depth + c["isl"], "output_length": 1}
        request["prefix_hit_rate"] = depth / (depth + c["isl"])
    else:
        request |= {"input_length": max(1, depth or c["isl"]), "output_length": c["osl"]}
    return request, "prompt_tokens_per_sec" if prompt else "generated_tokens_per_sec", row["value"]


SOURCES = {
    "trt05": lambda row: static_trt(row, "0.5"),
    "trtblog": lambda row: static_trt(row, "0.5"),
    "trt014s": trt014,
    "trt017": lambda row: static_trt(row, "0.17"),
    "argonne": argonne,
    "amd": amd,
    "gpustack": gpustack,
    "sim2real": sim2real,
    "xjdai": llama_bench,
    "spark": spark,
}


def excluded(source: str, row: Row, request: Row) -> str | None:
    """Why a row must not be fitted or compared."""
    c = row["conditions"]
    if row["confidence"] == "low":
        return "the source is ambiguous"
    if source == "argonne":
        return _excluded_argonne(row, request)
    if source == "xjdai" and c.get("note"):
        return "marked as an outlier: the first run of a card"
    if (
        source == "spark"
        and request.get("batch_size") == 1
        and not c.get("test")
        and row["id"].endswith("0001")
    ):
        return "the first prompt of a run: warm-up"
    if source == "gpustack":
        return _excluded_gpustack(row)
    if source == "sim2real" and (
        "Mixtral" in row["model"] or "Qwen3-14B" in row["model"] or "Scout" in row["model"]
    ):
        return "rates come from a design table and disagree with the latencies"
    return None


def _excluded_argonne(row: Row, request: Row) -> str | None:
    model, c = row["model"], row["conditions"]
    early = ("bigscience/bloom", "huggyllama/llama")
    if model.startswith(early) and request["input_length"] + request["output_length"] > 2048:
        return "longer than the model's context: rejected by the server"
    if "MI300X" in c["gpu"] and c["batch"] == 1 and c["isl"] == 128:
        return "a second of warm-up inside the timer"
    if "H100" in c["gpu"] and "Mistral" in model and c["batch"] == 64 and c["isl"] >= 1024:
        return "slower than equal models beside it: paging, not explained"
    if row["what"] == "ttft_ms" and "MI" in c["gpu"]:
        return "warm-up inside"
    if "Mixtral" in model and c["runtime"] == "TensorRT-LLM":
        return "equal prompts: every sequence picks the same experts"
    return None


def _excluded_gpustack(row: Row) -> str | None:
    model, what = row["model"], row["what"]
    if "Qwen3.5-9B" in model and what == "tpot_ms" and row["value"] < 1.2:
        return "less than the weights take to read: drafted tokens, or wrong"
    if "GLM-5.2" in model:
        return "weights partly offloaded"
    if what == "ttft_ms" and float(row["conditions"]["request_rate"]) > FLOOD:
        return "waiting, not reading: requests came as fast as they could"
    return None


def per_token(row: dict[str, Any]) -> dict[str, Any]:
    """A static batch whose latency is nearly all decoding, as its time per token."""
    length = row["request"]["output_length"]
    if row["group"] != "amd" or row["metric"] != "e2e_latency_ms" or length < LONG:
        return row
    return {**row, "metric": "tpot_ms_all_tokens", "measured": row["measured"] / length}


if __name__ == "__main__":
    sys.exit(main())
