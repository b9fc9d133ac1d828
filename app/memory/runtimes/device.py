"""The device as a runtime sees it: memory that CUDA reports, context, libraries' workspaces."""

from typing import Final

from msgspec import Struct

from ...hardware import Accelerator

GIB: Final = 2**30
MIB: Final = 2**20

# What CUDA reports in all (out-of-memory messages of torch, vLLM start-up logs), where nvidia-smi shows the
# first figure [MiB]: the driver keeps the difference. Totals in bytes are GiB as logs print them.
CUDA_TOTAL_GIB: Final[dict[tuple[str, int], float]] = {
    ("h100-sxm-80gb", 81559): 79.19,
    ("h100-pcie-80gb", 81559): 79.18,
    ("h800-sxm-80gb", 81559): 79.19,
    ("h200-sxm-141gb", 143771): 139.81,
    ("a100-sxm-80gb", 81920): 79.25,
    ("a100-pcie-80gb", 81920): 79.25,
    ("a100-sxm-40gb", 40960): 39.49,
    ("a100-pcie-40gb", 40960): 39.49,
    ("b200-sxm-180gb", 183359): 178.36,
    ("rtx-3090", 24576): 23.58,
    ("rtx-4090", 24564): 23.64,
    ("rtx-5090", 32607): 31.36,
    ("rtx-a6000", 49140): 47.43,
    ("l4", 23034): 22.03,
    ("l40s", 46068): 44.42,
    ("a10g", 23028): 22.06,
    ("t4", 15360): 14.56,
}


class Device(Struct, frozen=True):
    """One accelerator: `total` [bytes] is what the runtime's own library reports."""

    name: str
    total: int
    usable: int
    capability: tuple[int, int]
    multiprocessors: int
    is_cuda: bool
    is_assumed: bool = False
    is_accelerator: bool = True

    @property
    def hopper_or_later(self) -> bool:
        """Compute capability 9.0 and up."""
        return self.capability >= (9, 0)

    @property
    def cublas_workspace(self) -> int:
        """Workspace of one cuBLAS handle [bytes]: 32 MiB from Hopper on, 8,519,680 before.

        PyTorch `aten/src/ATen/cuda/CUDABlas.cpp` `parseChosenWorkspaceSize`.
        """
        return 32 * MIB if self.hopper_or_later else 8_519_680


MULTIPROCESSORS: Final[dict[str, int]] = {
    "h100-sxm-80gb": 132,
    "h100-pcie-80gb": 114,
    "h100-nvl-94gb": 132,
    "h200-sxm-141gb": 132,
    "h20-96gb": 78,
    "a100-sxm-80gb": 108,
    "a100-sxm-40gb": 108,
    "a100-pcie-80gb": 108,
    "a100-pcie-40gb": 108,
    "b200-sxm-180gb": 148,
    "l4": 58,
    "l40s": 142,
    "a10g": 80,
    "t4": 40,
    "rtx-3090": 82,
    "rtx-4090": 128,
    "rtx-5090": 170,
    "rtx-a6000": 84,
    "v100-sxm2-32gb": 80,
    "v100-sxm2-16gb": 80,
}
DEFAULT_MULTIPROCESSORS: Final = 132
ASSUMED: Final = Device("h100-sxm-80gb", round(79.19 * GIB), 81559 * MIB, (9, 0), 132, True, True)


def device_of(gpu: Accelerator | None) -> Device:
    """The device of a request; without one, an 80 GB H100 is assumed."""
    if gpu is None:
        return ASSUMED
    usable = gpu.memory_bytes_usable
    reported = CUDA_TOTAL_GIB.get((gpu.name, gpu.memory_mib_usable or 0))
    total = usable if reported is None else round(reported * GIB)
    return Device(
        gpu.name,
        total,
        usable,
        capability_of(gpu),
        MULTIPROCESSORS.get(gpu.name, DEFAULT_MULTIPROCESSORS),
        gpu.vendor.lower() == "nvidia" or gpu.vendor == "custom",
        is_accelerator=gpu.device_type != "cpu",
    )


def capability_of(gpu: Accelerator) -> tuple[int, int]:
    """CUDA compute capability; (9, 0) is taken for a device of the caller's own that does not say."""
    major, dot, minor = (gpu.compute_capability or "").partition(".")
    if dot and major.isdigit() and minor.isdigit():
        return int(major), int(minor)
    return (9, 0) if gpu.name == "custom" else (0, 0)
