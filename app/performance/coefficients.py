"""Fitted efficiencies as data: which row of `coefficients.json` applies to an accelerator and a runtime.

`scripts/fit_speed.py` writes the file; every row names the measurements that moved it, by runtime version
and date, as software decides more than any formula. What has no row of its own takes its class's or its
family's, is said so, and gets a wider band.
"""

import json
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from ..errors import InvalidRequest, Problem
from ..hardware import Accelerator
from ..messages import Message
from ..parallelism import Layout
from .roofline import Rates

FILE: Final = Path(__file__).with_name("coefficients.json")
LINK_REACHED: Final = 0.85  # of a link's bandwidth, large messages
PCIE_REACHED: Final = 0.65
PCIE_MESSAGES: Final = 3.0  # a message over PCIe takes as many times one over NVLink
NETWORK_MESSAGES: Final = 4.0
RANK_US: Final = 3.0  # a collective waits for each further rank: skew, and products that shrink
EAGER_LAYER_US: Final = 130.0  # kernels of a layer launched one by one, without graphs
ASSUMED_LINK_GB_S: Final = 32.0  # PCIe 4 x16, where a device's link is not known
# The formats whose activations are narrow too, and the peak their products have.
NARROW: Final[Mapping[str, str]] = {"fp8": "fp8", "fp8-block": "fp8", "mxfp8": "fp8", "w8a8": "int8"}
IN_PROCESS: Final[Mapping[str, float]] = {
    "step_ms": 0.0,
    "sequence_us": 0.0,
    "stream_us": 0.0,
    "start_ms": 0.0,
}
NARROW_FOUR_BIT: Final = ("nvfp4", "mxfp4")

_HBM_AMPERE: Final = ("a100", "a800", "a30")
_HBM_BLACKWELL: Final = ("b100", "b200", "b300", "gb200", "gb300")
_CLASSES: Final[Mapping[str, str]] = {
    "hopper": "hopper",
    "ada lovelace": "ada",
    "cdna2": "cdna2",
    "cdna3": "cdna3",
    "cdna4": "cdna3",
    "gaudi2": "gaudi2",
    "gaudi3": "gaudi2",
}


class Basis(Struct, frozen=True):
    """What an answer rests on: the class of the device and the runtime's row, and whether rows moved them."""

    device: str
    runtime: str
    date: str
    device_measured: bool
    runtime_measured: bool


@cache
def coefficients() -> dict[str, Any]:
    """The file, read once."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def device_class(gpu: Accelerator) -> str:
    """The class whose efficiencies a device has; `other` where none was measured."""
    architecture = (gpu.architecture or "").lower()
    if architecture == "ampere":
        return "a100" if gpu.name.startswith(_HBM_AMPERE) else "ampere_gddr"
    if architecture.startswith("blackwell"):
        return "blackwell" if gpu.name.startswith(_HBM_BLACKWELL) else "blackwell_gddr"
    return _CLASSES.get(architecture, "other")


def version_key(version: str) -> tuple[int, ...]:
    """A version as numbers that can be ordered.

    >>> version_key("v0.10.2") > version_key("0.9")
    True
    """
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def runtime_row(backend: str, version: str | None, platform: str) -> Mapping[str, Any]:
    """The newest row that is not newer than the version asked for [newest of all]; the first, where all are.

    On a platform without a row of its own the runtime's usual rows apply.
    """
    known = [row for row in coefficients()["runtimes"] if row["backend"] == backend]
    rows = [row for row in known if row["platform"] == platform] or known
    rows = sorted(rows, key=lambda row: version_key(row["since"]))
    if version is None:
        return rows[-1]  # type: ignore[no-any-return]
    asked = version_key(version)
    older = [row for row in rows if version_key(row["since"]) <= asked]
    return (older or rows[:1])[-1]  # type: ignore[no-any-return]


@lru_cache(maxsize=4096)
def _row(backend: str, version: str | None, platform: str) -> tuple[str, Mapping[str, Any]]:
    found = runtime_row(backend, version, platform)
    return str(found["name"]), found


class Ask(Struct, frozen=True):
    """What efficiencies are asked for: runtime, layout, format and how GPUs are wired."""

    backend: str
    version: str | None
    layout: Layout
    scheme: str
    eager: bool = False
    gpus_per_node: int = 8
    inter_node_gb_s: float = 50.0
    served: bool = False  # behind a network front, not as a library
    layers: int = 0  # of all pipeline stages
    recurrent: int = 0  # those of them that keep a state


def rates_of(gpu: Accelerator, ask: Ask) -> tuple[Rates, Basis]:
    """What a device does under a runtime."""
    platform = "rocm" if gpu.vendor.upper() == "AMD" else "cuda"
    _, row = _row(ask.backend, ask.version, platform)
    kind = device_row(device_class(gpu), row)
    device = coefficients()["devices"][kind]
    basis = Basis(
        kind,
        row["name"],
        row["date"],
        bool(device["measured"]),
        bool(row["measured"]),
    )
    return assemble(gpu, ask, device, row, server_row(row)), basis


def device_row(kind: str, runtime: Mapping[str, Any]) -> str:
    """The row of a class, a runtime's own where its kernels were others; `other` where there is none."""
    own = runtime.get("device_rows", {}).get(kind, kind)
    return str(own) if own in coefficients()["devices"] else "other"


def server_row(runtime: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the network front of a runtime costs, beside its engine."""
    found: Mapping[str, Any] = coefficients()["servers"][runtime["server"]]
    return found


def assemble(
    gpu: Accelerator, ask: Ask, device: Mapping[str, Any], row: Mapping[str, Any], server: Mapping[str, Any]
) -> Rates:
    """Datasheet figures times efficiencies, in SI units.

    A library called in its own process has no network front: what a front takes for each step, sequence,
    token and request counts where the engine is `served`.
    """
    front = server if ask.served else IN_PROCESS
    peak, bandwidth = peak_flops(gpu), peak_bandwidth(gpu)
    narrow_peak = _narrow_peak(gpu, ask.scheme)
    message, link, reduce = _network(gpu, ask, row["message_us"] * 1e-6)
    layer = row.get("layer_us", device["layer_us"])
    if ask.eager:
        layer = max(layer, EAGER_LAYER_US)
    weights = bandwidth * device["bw"]
    return Rates(
        peak_flops=peak,
        peak_bandwidth=bandwidth,
        flops=peak * device["ff"],
        narrow_flops=(narrow_peak or peak) * device["ff"] * device["fq"],
        narrow=narrow_peak is not None,
        attention_flops=peak * device["fa"],
        bandwidth16=weights,
        bandwidth8=weights * device["narrow_bw"],
        bandwidth4=weights * device["four_bit_bw"],
        cache_bandwidth=bandwidth * device["kv"],
        repeated=row["repeated"],
        serial=row["serial_ns"] * 1e-9,
        moving=device.get("moving", 0.5),
        experts=row["experts"],
        message=message,
        link=link,
        reduce=reduce,
        layer=layer * 1e-6,
        step=(row["step_ms"] + front["step_ms"]) * 1e-3,
        sequence=(row["sequence_us"] + front["sequence_us"]) * 1e-6,
        stream=front["stream_us"] * 1e-6,
        chunk=row["chunk_ms"] * 1e-3
        + (row["chunk_layer_us"] * ask.layers + row["recurrent_us"] * ask.recurrent) * 1e-6,
        start=(row["start_ms"] + front["start_ms"]) * 1e-3,
        peak_narrow=narrow_peak or peak,
        unpacking=device["unpacking"],
        state=row["state"],
    )


def check_speed(gpu: Accelerator) -> None:
    """Raise `InvalidRequest` that names every figure of a device that speed needs and that is not known."""
    missing = [] if peak_flops(gpu) else ["gpu.tflops"]
    if not peak_bandwidth(gpu):
        missing.append("gpu.memory_bandwidth_gb_s")
    if missing:
        messages = [Message("gpu_speed_unknown", {"field": field, "name": gpu.name}) for field in missing]
        raise InvalidRequest(messages[0], map(Problem, missing, messages))


def peak_flops(gpu: Accelerator) -> float:
    """Dense 16-bit FLOP/s; 0 where it is not known."""
    peak = gpu.peak_tflops("bf16") or gpu.peak_tflops("fp16") or gpu.peak_tflops("fp32")
    return (peak or 0.0) * 1e12


def peak_bandwidth(gpu: Accelerator) -> float:
    """Bytes/s of memory; 0 where it is not known."""
    return (gpu.memory_bandwidth_gb_s or 0.0) * 1e9


def _narrow_peak(gpu: Accelerator, scheme: str) -> float | None:
    """FLOP/s of products of narrow activations; None where the format or the device has none."""
    key = "fp4" if scheme in NARROW_FOUR_BIT else NARROW.get(scheme)
    found = gpu.peak_tflops(key) if key else None
    return None if found is None else found * 1e12


def _network(gpu: Accelerator, ask: Ask, message: float) -> tuple[float, float, float]:
    """Seconds of one message, bytes/s of a link, and of what is summed over the tensor ranks."""
    ranks = max(ask.layout.tensor, ask.layout.expert_ranks)
    kind = gpu.interconnect_type or "pcie"
    link = (gpu.interconnect_gb_s or ASSUMED_LINK_GB_S) * 1e9 * LINK_REACHED
    if kind.startswith("pcie"):
        message, link = message * PCIE_MESSAGES, link * PCIE_REACHED
    if ranks > max(ask.gpus_per_node, gpu.scale_up_domain or 1):
        message, link = message * NETWORK_MESSAGES, min(link, ask.inter_node_gb_s * 1e9 * LINK_REACHED)
    message += RANK_US * 1e-6 * ranks
    tensor = max(2, ask.layout.tensor)
    return message, link, link * tensor / (2 * (tensor - 1))
