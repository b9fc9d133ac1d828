"""What the device adds to the tensors: context, workspaces, the allocator's rounding, communication."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ...units import MIB
from ..requests import TrainingRequest
from ..runtimes.device import device_of

# CUDA context with the kernels of a training run loaded, as nvidia-smi shows it beyond torch's own memory.
CONTEXT: Final = 500 * MIB
CONTEXT_LOW, CONTEXT_HIGH = 300 * MIB, 1000 * MIB
COMMUNICATOR: Final = 400 * MIB  # one NCCL communicator over NVLink: channels x 4 MiB of buffers each way


@dataclass(frozen=True, slots=True)
class Overhead:
    """Bytes beyond tensors, and the range of measured runs."""

    bytes: int
    low: int
    high: int
    values: Mapping[str, Any]
    source: str


def overhead(request: TrainingRequest) -> Overhead:
    """Context, cuBLAS workspaces of forward and backward threads, and NCCL communicators [bytes]."""
    device = device_of(request.gpu)
    workspace = 2 * device.cublas_workspace
    groups = sum(
        size > 1
        for size in (
            request.data_parallel,
            request.tensor_parallel,
            request.pipeline_parallel,
            request.context_parallel,
        )
    )
    nccl = groups * COMMUNICATOR
    values = {"context": CONTEXT, "workspace": workspace, "communicators": groups, "nccl": nccl}
    return Overhead(
        CONTEXT + workspace + nccl,
        CONTEXT_LOW + workspace // 2 + nccl // 2,
        CONTEXT_HIGH + workspace + 2 * nccl,
        values,
        "nvidia-smi less torch's reserved memory; PyTorch CUDABlas.cpp; NCCL buffers of 4 MiB a channel",
    )
