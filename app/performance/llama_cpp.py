"""llama.cpp and Ollama: what a card reaches there, where dequantizing costs instructions, not bytes.

    token  = sum of W / (BW e) + q P c / F32 + cache / (BW k) + layers t
    prompt = micro-batches of 512: 2 P 512 / (F f / (1 + 1257 / hidden) / (1 + F / 600e12)) + dequantizing

`c`: vector operations a quantized weight costs. Devices split a model by layers and take turns: no token
comes sooner, prompts flow through them in part. Without flash attention scores are written and read.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from ..hardware import Accelerator
from .coefficients import Basis, coefficients, peak_bandwidth, peak_flops
from .roofline import Rates

MICRO_BATCH: Final = 512
HAND_OVER: Final = 0.25e-3  # seconds between two devices that take turns
SMALL_MODEL: Final = 1257  # hidden size at which products reach half their best rate
LARGE_CARD: Final = 6e14  # FLOP/s at which a micro-batch fills half of a card
DEQUANTIZED_BYTES: Final = 2.8  # written and read again for each quantized weight of a micro-batch
FLASH_ATTENTION: Final = 0.3  # of the peak
FLASH_CACHE: Final = 0.7  # of the bandwidth
WIDE: Final = ("none", "f16", "bf16", "f32")
PLAIN: Final = ("mxfp4",)  # a table look-up, no arithmetic


class Shape(Struct, frozen=True):
    """What of a model decides; `weights`: those of one device that a token uses, `head_width`: elements of a
    key and a value, `flash`: whether scores are never written."""

    scheme: str
    weights: float
    hidden: int
    head_width: int
    flash: bool


def llama_rates(gpu: Accelerator, shape: Shape) -> tuple[Rates, Basis]:
    """What a device does under llama.cpp."""
    rows = coefficients()["llama_cpp"]
    kind = llama_class(gpu)
    row = rows.get(kind, rows["other"])
    basis = Basis(kind if kind in rows else "other", row["name"], row["date"], row["measured"], True)
    return assemble_llama(gpu, shape, row), basis


def assemble_llama(gpu: Accelerator, shape: Shape, row: Mapping[str, Any]) -> Rates:
    """Datasheet figures times efficiencies, in SI units."""
    bandwidth = peak_bandwidth(gpu)
    peak = _half_peak(gpu)
    narrow = shape.scheme not in WIDE
    unpacked = narrow and shape.scheme not in PLAIN
    arithmetic = row["cq"] / vector_rate(gpu) if unpacked else 0.0
    filled = 1 / (1 + SMALL_MODEL / shape.hidden) / (1 + peak / LARGE_CARD)
    products = peak * row["ff"] * (row["fq"] if narrow else 1.0) * filled
    scores = FLASH_ATTENTION * peak
    if not shape.flash:
        scores = 2 * shape.head_width * bandwidth / row["score_bytes"]
    dequantized = DEQUANTIZED_BYTES * shape.weights / bandwidth if unpacked else 0.0
    return Rates(
        peak_flops=max(peak, peak_flops(gpu)),
        peak_bandwidth=bandwidth,
        flops=products,
        narrow_flops=products,
        narrow=False,
        attention_flops=scores,
        bandwidth16=bandwidth * row["bw"],
        bandwidth8=1 / (1 / (bandwidth * row["bw"]) + arithmetic),
        bandwidth4=1 / (1 / (bandwidth * row["bw"]) + 2 * arithmetic),
        cache_bandwidth=bandwidth * (max(FLASH_CACHE, row["kv"]) if shape.flash else row["kv"]),
        repeated=0.0,
        serial=0.0,
        moving=1.0,
        experts=row["experts"],
        message=HAND_OVER,
        link=32e9,
        reduce=32e9,
        layer=row["layer_us"] * 1e-6,
        step=0.0,
        sequence=0.0,
        stream=0.0,
        chunk=dequantized,
        start=row["start_ms"] * 1e-3,
        peak_narrow=peak,
        short_prompt=0.0,
    )


def turns(parameters: float, narrow: bool) -> float:
    """Share of a prompt that devices read one after the other, not side by side (fitted, not explained).

    >>> round(turns(7e9, False), 3)
    0.087
    """
    return min(1.0, 0.087 * float((parameters / 7e9) ** 0.58) * (2.1 if narrow else 1.0))


def vector_rate(gpu: Accelerator) -> float:
    """Vector operations/s, integer ones among them: A100 and Volta do as many of them as of float32."""
    rate = gpu.peak_tflops("fp32") or gpu.peak_tflops("fp16") or 1.0
    return rate * 1e12 * (2 if llama_class(gpu) == "a100" else 1)


def _half_peak(gpu: Accelerator) -> float:
    """16-bit FLOP/s, accumulated in 16 bits where that is faster."""
    quick = gpu.tflops_fp16_accumulate.get("fp16")
    return max(peak_flops(gpu), quick * 1e12 if quick else 0.0)


def llama_class(gpu: Accelerator) -> str:
    """The class whose efficiencies a device has here."""
    architecture = (gpu.architecture or "").lower()
    if gpu.vendor == "Apple":
        return "apple"
    if architecture == "ampere":
        return "a100" if gpu.name.startswith(("a100", "a800", "a30")) else "ampere_gddr"
    if gpu.name == "dgx-spark-gb10":
        return "gb10"
    return {"hopper": "hopper", "ada lovelace": "ada"}.get(architecture, "other")
