"""genz-llm: a roofline of one batch; its own efficiency (1) and its own figures of the devices it has."""

import time

STARTED = time.perf_counter()

from GenZ import decode_moddeling, prefill_moddeling  # noqa: E402
from GenZ.Models.default_models import ModelConfig  # noqa: E402
from protocol import Case, NoAnswerError, figure, serve  # noqa: E402

DEVICES = {
    "a100-sxm-40gb": "A100_40GB_GPU",
    "a100-sxm-80gb": "A100_80GB_GPU",
    "h100-sxm-80gb": "H100_GPU",
    "gh200-96gb": "GH200_GPU",
    "mi300x-192gb": "MI300X",
    "gb200-186gb": "GB200",
}
BITS = {"none": "bf16", "fp8": "fp8", "q4_k_m": "int4", "nvfp4": "fp4", "mxfp4": "fp4"}
PLAIN = (
    "granite",
    "mistral3",
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "qwen3_moe",
    "mixtral",
    "gpt_oss",
    "llama4",
    "falcon",
    "gptj",
)
MOST = 4096


def answer(case: Case) -> tuple[float, str]:
    """Prefill and decode of a batch; of requests that all wait, the largest batch that its memory check
    lets through. It knows no arrivals."""
    if case["load"] == "memory":
        return _room(case), "weights and cache only"
    if case["load"] == "rate":
        raise NoAnswerError("no load of requests that arrive")
    model, device, bits = _model(case), _device(case), BITS.get(case["quantization"])
    if bits is None:
        raise NoAnswerError(f"no {case['quantization']}")
    asked = max(1, case["batch"] // case["data_parallel"])
    if case["load"] != "flood":
        first, gap = _times(case, model, device, bits, asked)
        return figure(case, first, gap, asked * case["data_parallel"]), bits
    held, found = _largest(case, model, device, bits, min(asked, MOST))
    return figure(case, *found, held * case["data_parallel"]), f"{bits}, batch {held}"


def _times(case: Case, model: object, device: object, bits: str, batch: int) -> tuple[float, float]:
    asked = {
        "model": model,
        "batch_size": batch,
        "input_tokens": case["input_length"],
        "system_name": device,
        "bits": bits,
        "tensor_parallel": case["tensor_parallel"],
        "pipeline_parallel": case["pipeline_parallel"],
        "expert_parallel": 1,
    }
    first = prefill_moddeling(**{**asked, "bits": _computed_in(bits)})["Latency"]
    gap = decode_moddeling(**asked, output_tokens=case["output_length"] // 2, Bb=1)["Latency"]
    return first / 1e3, gap / 1e3


def _room(case: Case) -> float:
    """Sequences of the full length beside the weights, by its own sizes of both [MB of one device]."""
    found = decode_moddeling(
        model=_model(case), batch_size=1, input_tokens=case["input_length"], output_tokens=0, Bb=1,
        system_name=_device(case), bits=BITS.get(case["quantization"], "bf16"),
        tensor_parallel=case["tensor_parallel"], model_profilling=True,
    )[1]  # fmt: skip
    weights, cache = (float(found[f"{name} (MB)"].values[0]) for name in ("Total Weights", "KV Cache"))
    return (case["gpu"]["memory_gb"] * 1024 * case["utilization"] - weights) / cache


def _computed_in(bits: str) -> str:
    """Four-bit weights of llama.cpp are multiplied in 16 bits, which only counts where products bind."""
    return "bf16" if bits == "int4" else bits


def _largest(
    case: Case, model: object, device: object, bits: str, most: int
) -> tuple[int, tuple[float, float]]:
    low, high, found = 0, most, None
    at = most
    while low < high:
        try:
            found, low = _times(case, model, device, bits, at), at
        except ValueError:
            high = at - 1
        at = (low + high + 1) // 2
        if high - low <= max(1, high // 16):
            break
    if found is None:
        found, low = _times(case, model, device, bits, 1), 1
    return low, found


def _device(case: Case) -> object:
    gpu = case["gpu"]
    if gpu["name"] in DEVICES:
        return DEVICES[gpu["name"]]
    return {
        "Flops": gpu["tflops"].get("bf16") or gpu["tflops"].get("fp16"),
        "Memory_size": gpu["memory_gb"],
        "Memory_BW": gpu["bandwidth"],
        "ICN": gpu["link"] or 32,
        "real_values": True,
    }


def _model(case: Case) -> ModelConfig:
    m = case["model"]
    if m["type"] not in PLAIN:
        raise NoAnswerError(f"no way to describe {m['type']}")
    experts = {}
    if m["experts"]:
        experts = {
            "num_experts": m["experts"],
            "expert_top_k": m["top_k"],
            "moe_intermediate_size": m["expert_width"],
        }
    return ModelConfig(
        model=m["name"],
        vocab_size=m["vocabulary"],
        hidden_size=m["hidden"],
        intermediate_size=m["intermediate"],
        num_ffi=1 if m["type"] in ("falcon", "gptj") else 2,
        num_decoder_layers=m["layers"],
        num_attention_heads=m["heads"],
        num_key_value_heads=m["kv_heads"],
        head_dim=m["head_dim"],
        **experts,
    )


serve(answer, STARTED)
