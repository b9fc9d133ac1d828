"""chimeraforge: its planner, held to one model, runtime, format and layout.

It takes a rate of requests. A batch of one is a rate of next to nothing; a closed loop or a batch is the rate
at which, by its own latencies, so many are in flight; requests that all wait are its batch mode. It has no
TensorRT-LLM, so its vLLM stands in there, and says so.
"""

import time

STARTED = time.perf_counter()

from chimeraforge.api import PlanRequest, plan  # noqa: E402
from protocol import Case, NoAnswerError, figure, serve  # noqa: E402

DEVICES = {
    "a100-sxm-40gb": "A100 40GB",
    "a100-sxm-80gb": "A100 80GB",
    "h100-sxm-80gb": "H100 80GB",
    "h200-sxm-141gb": "H200 141GB",
    "b200-sxm-180gb": "B200 180GB",
    "mi300x-192gb": "MI300X 192GB",
    "rtx-3090": "RTX 3090 24GB",
    "rtx-4080": "RTX 4080 16GB",
    "rtx-4090": "RTX 4090 24GB",
    "rtx-pro-6000-server": "RTX PRO 6000 Blackwell Server 96GB",
    "dgx-spark-gb10": "DGX Spark 128GB",
}
# Devices that it does not list: the sibling that it does, with the datasheet's figures over its own.
SIBLINGS = {
    "l40s": "RTX 4090 24GB",
    "gh200-96gb": "H100 80GB",
    "h100-pcie-80gb": "H100 80GB",
    "a100-pcie-80gb": "A100 80GB",
    "a40": "RTX 3090 24GB",
    "rtx-a6000": "RTX 3090 24GB",
    "mi250-128gb": "MI300X 192GB",
    "gb200-186gb": "B200 180GB",
    "m1-max-64gb": "Apple M5 Max 32-core GPU 36GB",
    "m2-ultra-192gb": "Apple M5 Max 32-core GPU 36GB",
    "m3-max-128gb": "Apple M5 Max 32-core GPU 36GB",
    "NVIDIA GeForce RTX 3070 8GB": "RTX 3080 10GB",
    "NVIDIA GeForce RTX 3080 Ti 12GB": "RTX 3080 10GB",
    "NVIDIA GeForce RTX 4070 Ti 12GB": "RTX 4070 Ti 12GB",
    "NVIDIA RTX 5000 Ada 32GB": "RTX 4090 24GB",
}
UNIFIED = ("dgx-spark-gb10", "m1-max-64gb", "m2-ultra-192gb", "m3-max-128gb")
PRICE = 1.0  # of an hour: without one it plans nothing
BACKENDS = {"vllm": "vllm", "sglang": "sglang", "tensorrt-llm": "vllm", "llama.cpp": "ollama"}
QUANTS = {"none": "FP16", "fp8": "FP8", "q4_k_m": "Q4_K_M", "q8_0": "Q8_0"}
IDLE = 1e-3  # requests/s of a machine with one at a time
NEAR = 0.03
ALIKE = 0.03  # of a model's parameters, by which one of its own is taken for ours
ROUNDS = 14


def answer(case: Case) -> tuple[float, str]:
    """One figure of its candidate."""
    backend, quant = BACKENDS.get(case["backend"]), QUANTS.get(case["quantization"])
    if backend is None or quant is None:
        raise NoAnswerError(f"no {case['backend'] if backend is None else case['quantization']}")
    note = backend if backend == case["backend"] else f"{backend} stands in"
    if case["load"] == "memory":
        return float(_one(case, backend, quant, IDLE)["max_concurrent_seqs"]), note
    if case["load"] == "rate":
        return _figure(case, _one(case, backend, quant, case["rate"]), case["rate"]), note
    if case["load"] == "flood":
        found = _one(case, backend, quant, IDLE, mode="batch")
        if case["metric"] != "output_tokens_per_sec":
            raise NoAnswerError("no latency of requests that all wait")
        return float(found["total_throughput_tps"]), f"{note}, batch {found['effective_batch']}"
    wanted = case["batch"] / case["data_parallel"]
    if wanted <= 1:
        return _figure(case, _one(case, backend, quant, IDLE), None), note
    found, rate = _in_flight(case, backend, quant, wanted)
    return _figure(case, found, rate), f"{note}, {rate:.3g} requests/s"


def _figure(case: Case, found: dict, rate: float | None) -> float:
    first, gap = found["ttft_ms"] / 1e3, found["tpot_ms"] / 1e3
    if rate is not None and case["metric"] == "output_tokens_per_sec":
        return rate * case["output_length"] * case["data_parallel"]
    if rate is not None and case["metric"] == "throughput_tokens_per_sec":
        return rate * (case["input_length"] + case["output_length"]) * case["data_parallel"]
    return figure(case, first, gap, 1)


def _in_flight(case: Case, backend: str, quant: str, wanted: float) -> tuple[dict, float]:
    """The rate at which so many are in flight on one instance, by bisection."""
    low, high, found = IDLE, 1e4, _one(case, backend, quant, IDLE)
    rate = low
    for _ in range(ROUNDS):
        middle = (low * high) ** 0.5
        one = _one(case, backend, quant, middle, strict=False)
        inside = (
            middle * (one["ttft_ms"] + one["tpot_ms"] * (case["output_length"] - 1)) / 1e3 if one else None
        )
        if inside is None or inside > wanted:
            high = middle
        else:
            low, found, rate = middle, one, middle
            if inside > (1 - NEAR) * wanted:
                break
    return found, rate


def _one(
    case: Case, backend: str, quant: str, rate: float, mode: str = "online", strict: bool = True
) -> dict | None:
    """Its candidate of one instance."""
    gpu, model = case["gpu"], case["model"]
    key = gpu["label"] if gpu["name"] == "custom" else gpu["name"]
    named, sibling = DEVICES.get(key), SIBLINGS.get(key)
    figures = {
        "vram_gb": gpu["memory_gb"],
        "bandwidth_gbps": gpu["bandwidth"],
        "fp16_tflops": gpu["tflops"].get("fp16") or gpu["tflops"].get("bf16"),
        "interconnect_gbps": gpu["link"],
        "cost_per_hour": PRICE,
    }
    figures = {name: float(value) for name, value in figures.items() if value}
    asked = PlanRequest(
        models=[model["repo"] or model["name"]],
        hardware=named or sibling or gpu["label"],
        gpu_overrides={"cost_per_hour": PRICE} if named else figures,
        unified_memory_fraction=0.9 if key in UNIFIED else None,
        request_rate=rate,
        latency_slo=1e9 if mode == "online" else None,
        quality_target=0.0,
        budget=1e12,
        avg_tokens=case["output_length"],
        prompt_tokens=case["input_length"],
        context_length=case["input_length"] + case["output_length"],
        kv_quant="q8" if case["kv_cache_dtype"] == "fp8" else "fp16",
        tensor_parallel=case["tensor_parallel"],
        pipeline_parallel=case["pipeline_parallel"],
        mode=mode,
        allow_network=False,
        overrides=None if model["experts"] else _overrides(model),
    )
    result = plan(asked).to_dict()["result"]
    _check(model, result["specs"])
    found = [c for c in result["candidates"] if c["backend"] == backend and c["quant"] == quant]
    alone = [c for c in found if c["n_agents"] == 1]
    if alone:
        return alone[0]
    if strict:
        raise NoAnswerError(
            f"{found[0]['n_agents']} instances" if found else f"does not fit or no {quant} on {backend}"
        )
    return None


def _check(model: dict, specs: dict) -> None:
    """A mixture of experts cannot be described to it; one of its own registry must be the very model."""
    for spec in specs.values():
        if model["experts"] and abs(spec["params_b"] / model["parameters_b"] - 1) > ALIKE:
            raise NoAnswerError("not in its registry")


def _overrides(model: dict) -> dict:
    return {
        "params_b": float(model["parameters_b"]),
        "n_layers": model["layers"],
        "n_kv_heads": model["kv_heads"],
        "d_head": model["head_dim"],
        "hidden_size": model["hidden"],
    }


serve(answer, STARTED)
