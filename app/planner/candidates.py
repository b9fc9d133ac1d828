"""What there is to choose among: runtimes and formats that a device takes, layouts that a model takes."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from ..architecture import Architecture
from ..hardware import Accelerator
from ..memory.runtimes.device import capability_of
from ..parallelism import expert_counts, tensor_sizes
from ..precision.declared import declared
from .requests import COUNTS, Layout, Limits

SERVED: Final = ("gpu",)  # device types that serving engines run on
ENGINES: Final = ("vllm", "sglang", "tensorrt-llm", "tgi")
LOCAL: Final = ("llama.cpp", "ollama")
LEAST_CAPABILITY: Final = (7, 0)  # vLLM's: docs/getting_started/installation/gpu
VENDORS: Final = {
    "vllm": ("NVIDIA", "AMD", "Intel", "Google", "Huawei", "AWS"),
    "sglang": ("NVIDIA", "AMD", "Intel", "Google", "Huawei"),
    "tensorrt-llm": ("NVIDIA",),
    "tgi": ("NVIDIA", "AMD", "Intel"),
}
# Tried where nothing is asked for; those of a later group only where none of an earlier one has room.
FORMATS: Final[tuple[tuple[str | None, ...], ...]] = (("none", "fp8"), ("awq",))
LOCAL_FORMATS: Final[tuple[tuple[str | None, ...], ...]] = (("q8_0",), ("q4_k_m",))
FOUR_BIT_FLOAT: Final = ("nvfp4",)
MOST_STAGES: Final = 4


def backend_for(gpu: Accelerator, asked: str | None) -> str | None:
    """The runtime for a device: the one asked for, else vLLM where it runs, else llama.cpp; None: none."""
    if asked is not None:
        return asked if runs(gpu, asked) else None
    return "vllm" if runs(gpu, "vllm") else "llama.cpp" if runs(gpu, "llama.cpp") else None


def runs(gpu: Accelerator, backend: str) -> bool:
    """Whether a runtime has kernels for a device."""
    if backend in VENDORS:
        served = gpu.device_type in (*SERVED, "tpu", "npu") and gpu.vendor in VENDORS[backend]
        return (served and _new_enough(gpu)) or gpu.vendor == "custom"
    if backend in LOCAL:
        return gpu.device_type in ("gpu", "soc", "cpu")
    return gpu.device_type in SERVED


def _new_enough(gpu: Accelerator) -> bool:
    return gpu.vendor != "NVIDIA" or capability_of(gpu) >= LEAST_CAPABILITY


def formats(
    architecture: Architecture, backend: str, limits: Limits, asked: str | None
) -> tuple[tuple[str | None, ...], ...]:
    """Formats to try, in groups: those asked for; a quantized checkpoint's own; else 16-bit and fp8 first."""
    if limits.quantizations:
        return (limits.quantizations,)
    if asked is not None or own_format(architecture):
        return ((asked,),)
    return LOCAL_FORMATS if backend in LOCAL else FORMATS


@lru_cache(maxsize=1024)
def own_format(architecture: Architecture) -> bool:
    """Whether the published checkpoint is quantized."""
    return declared(architecture.config, "bfloat16") is not None


def takes(gpu: Accelerator, quantization: str | None) -> bool:
    """Whether a device runs a format: four-bit floats need their tensor cores."""
    return quantization not in FOUR_BIT_FLOAT or gpu.peak_tflops("fp4") is not None


def layouts(architecture: Architecture, most: int, backend: str, limits: Limits) -> tuple[Layout, ...]:
    """Layouts of one replica of up to `most` GPUs, the fewest first."""
    return tuple(
        layout for count in COUNTS if count <= most for layout in _of(architecture, count, backend, limits)
    )


def _of(architecture: Architecture, count: int, backend: str, limits: Limits) -> Iterator[Layout]:
    sizes = tensor_sizes(architecture)
    experts = min(expert_counts(architecture), default=0)
    for pipeline in (1, 2, MOST_STAGES, *COUNTS[3:]):
        tensor = count // pipeline
        if count % pipeline or tensor not in sizes or pipeline > max(1, architecture.layers):
            continue
        if pipeline > MOST_STAGES and limits.pipeline_parallel != pipeline and backend not in LOCAL:
            continue
        if backend in LOCAL and tensor > 1 and limits.tensor_parallel != tensor:
            continue
        if _kept(limits, tensor, pipeline):
            yield from _with_experts(Layout(tensor, pipeline), experts, backend, limits)


def _with_experts(layout: Layout, experts: int, backend: str, limits: Limits) -> Iterator[Layout]:
    asked = limits.expert_parallel
    whole = layout.tensor > 1 and experts >= layout.tensor and experts % layout.tensor == 0
    if asked in (None, 1):
        yield layout
    if backend not in LOCAL and whole and asked in (None, layout.tensor) and layout.tensor > 1:
        yield Layout(layout.tensor, layout.pipeline, 1, layout.tensor)


def _kept(limits: Limits, tensor: int, pipeline: int) -> bool:
    return limits.tensor_parallel in (None, tensor) and limits.pipeline_parallel in (None, pipeline)


def within(gpu: Accelerator, layout: Layout, per_node: int) -> bool:
    """Whether a layout lies on machines as they are: tensor ranks inside one, which holds whole stages."""
    domain = max(per_node, gpu.scale_up_domain or 1)
    if gpu.device_type in ("soc", "cpu"):
        return layout.gpus == 1
    return layout.tensor <= domain


def nodes(gpu: Accelerator, gpus: int, per_node: int) -> int:
    """Machines that so many GPUs take."""
    return -(-gpus // per_node)
