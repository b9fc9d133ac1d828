"""Bring published measurements of serving into `validation/performance.jsonl`: a request, a value, a source.

    python scripts/import_performance.py published.jsonl

Each line read has `id, kind, model, what, value, unit, conditions, quote, source, confidence`. Rows that
cannot be asked (a device or model that is not known, conditions not stated) are left out; rows that must not
be fitted or compared carry `excluded` with the reason. Tables of `validation/performance_tables.json` (as
printed by their sources) follow; without a file to read, only they are made anew.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "validation" / "performance.jsonl"
TABLES = ROOT / "validation" / "performance_tables.json"
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
BLOCK = 16  # tokens of a block of vLLM's cache
LONG = 1024  # output tokens from which reading the prompt hardly counts
FLOOD = 100  # requests at once from which a short run never settles
UNKNOWN_MODELS = ("Deci/", "BAAI/Aquila")
FORMATS = {"FP8": "fp8", "fp8": "fp8", "FP16": "none", "F16": "none", "Q4_K_M": "q4_k_m", "AWQ": "awq"}


def main() -> int:
    """Read, turn into requests, write."""
    if len(sys.argv) > 1:
        lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
        read = [row for row in map(json.loads, lines) if row["kind"] == "inference"]
        found = [per_token(made) for row in read if (made := turned(row)) is not None]
    else:
        known = map(json.loads, OUT.read_text(encoding="utf-8").splitlines())
        found = [row for row in known if "table" not in row["conditions"]]
    for table in json.loads(TABLES.read_text(encoding="utf-8")):
        found += [per_token(row) for row in MADE_OF[table["kind"]](table)]
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
    if reason := excluded(source, row, request, metric):
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
    metric, value = metrics[row["what"]], row["value"]
    if metric == "tpot_ms" and (latency := re.search(r"Mean Latency\(s\): ([\d.]+)", row["quote"])):
        # The tool of these pages prints latency over all tokens as time per token, and where several tokens
        # come in one message it prints nothing of use: the latency itself is what was measured.
        metric, value = "e2e_latency_ms", 1e3 * float(latency.group(1))
    if c["osl"] < 8 or c.get("dp") or c.get("ep"):
        return None
    version = re.search(rf"{re.escape(c['runtime'])}:? v?([\d.]+)", c["version"])
    stated = version.group(1) if version and backend != "tensorrt-llm" else None
    more: dict[str, Any] = {"backend": backend, "backend_version": stated}
    swept = re.search(r"> Rate (\d+)$", c["section"])
    rate = float(swept.group(1) if swept else c["request_rate"])
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
    return sized(c, **more), metric, value


def sim2real(row: Row) -> Made | None:
    """vLLM at a rate of one stage, of a few dozen prompts again and again.

    Version and sequences as the design document of the source states them; prompts are repeated in whole, and
    answers are of one length.
    """
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
        backend_version="0.15.1",
        max_num_seqs=128,
        request_rate=float(rate),
        max_num_batched_tokens=c["max_num_batched_tokens"],
        prefix_hit_rate=hit_rate(max(1, round(c["isl"]))),
    )
    if c["quantization"] == "FP8":
        request["quantization"] = "fp8"
    return request, row["what"], row["value"]


def hit_rate(prompt: int) -> float:
    """Share of a repeated prompt that vLLM's prefix cache finds: whole blocks, and never the last token."""
    return round(((prompt - 1) // BLOCK * BLOCK + 0.5) / prompt, 5)


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


def excluded(source: str, row: Row, request: Row, metric: str) -> str | None:
    """Why a row must not be fitted or compared."""
    c = row["conditions"]
    # What is ambiguous of these pages is time per token; the latency beside it is not.
    if row["confidence"] == "low" and not (source == "gpustack" and metric == "e2e_latency_ms"):
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
    return _excluded_sim2real(row) if source == "sim2real" else None


def _excluded_sim2real(row: Row) -> str | None:
    if any(name in row["model"] for name in ("Mixtral", "Qwen3-14B", "Scout")):
        return "rates come from a design table and disagree with the latencies"
    if row["conditions"].get("stage") == "all stages" and "results_trainval" in row["source"]:
        return "the run has one stage, which is a row of its own"
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
    model, what, c = row["model"], row["what"], row["conditions"]
    if "GLM-5.2" in model:
        return "weights partly offloaded"
    few = isinstance(c["concurrency"], int) and c["concurrency"] < FLOOD
    if what == "ttft_ms" and float(c["request_rate"]) > FLOOD and not few:
        return "waiting, not reading: requests came as fast as they could"
    middle = re.search(r"Median TTFT \(ms\): ([\d.]+)", row["quote"])
    if what == "ttft_ms" and middle and row["value"] > 3 * float(middle.group(1)):
        return "one request waited for a compilation: the mean is many times the median"
    if c["isl"] == 32000 and float(c["request_rate"]) == 1:
        return "requests came evenly: nobody waited at nine tenths of what can be sustained"
    return None


def of_table(table: Row, place: str, request: Row, metric: str, value: float) -> dict[str, Any]:
    """One cell of a table."""
    layout = {"backend": table["backend"], "backend_version": table["version"]}
    note = {"note": table["note"]} if "note" in table else {}
    return {
        "id": f"{table['group']}-{table['model']}-{place}".lower().replace(" ", "-"),
        "group": table["group"],
        "model": table["model"],
        "metric": metric,
        "measured": value,
        "request": {"model_name": table["model"], **layout, **request},
        "conditions": {"table": table["kind"], **note},
        "confidence": "high",
        "source": table["source"],
    }


def all_at_once(table: Row) -> Iterator[dict[str, Any]]:
    """So many requests at once: output tokens/s by lengths (rows) and by device and layout (columns)."""
    for lengths, cells in table["rows"].items():
        read, written = map(int, lengths.split("/"))
        for column, cell in zip(table["columns"], cells, strict=True):
            asked = column["request"]
            gpus = prod(asked.get(f"{name}_parallel", 1) for name in ("tensor", "pipeline", "data"))
            batch = table["requests"][lengths]
            request = {**asked, "input_length": read, "output_length": written, "batch_size": batch}
            value = cell and cell * (gpus if table["per_gpu"] else 1)
            place = f"{asked['gpu']}-{column['printed'].split(' ', 1)[1]}-{lengths}"
            if value:
                made = of_table(table, place, request, "output_tokens_per_sec", value)
                ambiguous = "ambiguous" in table and gpus > 1
                yield {**made, "excluded": table["ambiguous"]} if ambiguous else made


def closed_loop(table: Row) -> Iterator[dict[str, Any]]:
    """So many requests in flight: time to the first token, gaps, throughput."""
    for cells in table["rows"]:
        request = {**table["request"], "concurrency": cells["concurrency"]}
        if "num_requests" in cells:
            request["num_requests"] = cells["num_requests"]
        lengths = f"{request['input_length']}/{request['output_length']}"
        for name, metric in (
            ("ttft_ms", "ttft_ms"),
            ("gap_ms", table["gap"]),
            ("output_tokens_per_sec", "output_tokens_per_sec"),
        ):
            place = f"{request['gpu']}-{lengths}-c{cells['concurrency']}-{metric}"
            made = of_table(table, place, request, metric, cells[name])
            yield {**made, "excluded": cells["unfit"]} if metric == "ttft_ms" and "unfit" in cells else made


def one_batch(table: Row) -> Iterator[dict[str, Any]]:
    """One batch that starts together: its latency."""
    for cells in table["rows"]:
        request = {**table["request"], "input_length": cells["input_length"]}
        request["batch_size"] = cells["batch_size"]
        place = f"{cells['input_length']}-b{cells['batch_size']}"
        yield of_table(table, place, request, "e2e_latency_ms", cells["e2e_latency_ms"])


def repeated_prompts(table: Row) -> Iterator[dict[str, Any]]:
    """A steady stream of a few dozen prompts again and again: times to the first token and to the last."""
    shared = {**table["request"], "max_num_seqs": 128, "max_num_batched_tokens": 2048}
    asked = ("input_length", "output_length", "request_rate")
    for cells in table["rows"]:
        request = {**shared, **{name: cells[name] for name in asked}}
        request["prefix_hit_rate"] = hit_rate(request["input_length"])
        place = f"{cells['workload']}-{cells['request_rate']}"
        yield of_table(table, f"{place}-ttft_ms", request, "ttft_ms", cells["ttft_ms"])
        # Messages were counted twice, so the tool's time per token is half of what it was.
        steps = request["output_length"] - 1
        gap = round((cells["e2e_latency_ms"] - cells["ttft_ms"]) / steps, 4)
        yield of_table(table, f"{place}-tpot_ms", request, "tpot_ms", gap)


MADE_OF = {
    "all at once": all_at_once,
    "closed loop": closed_loop,
    "one batch": one_batch,
    "repeated prompts": repeated_prompts,
}


def per_token(row: dict[str, Any]) -> dict[str, Any]:
    """A static batch whose latency is nearly all decoding, as its time per token."""
    length = row["request"]["output_length"]
    if row["group"] != "amd" or row["metric"] != "e2e_latency_ms" or length < LONG:
        return row
    return {**row, "metric": "tpot_ms_all_tokens", "measured": row["measured"] / length}


if __name__ == "__main__":
    sys.exit(main())
