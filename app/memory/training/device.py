"""What the device adds to the tensors: context, workspaces, the allocator's gaps, communication."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from ...hardware import Accelerator
from ...units import MIB
from ..requests import TrainingRequest
from ..runtimes.device import device_of
from .sharding import sharding_of

# CUDA context with the kernels of a training run loaded, as nvidia-smi shows it beyond torch's own memory.
CONTEXT: Final = 500 * MIB
CONTEXT_LOW, CONTEXT_HIGH = 300 * MIB, 1000 * MIB
COMMUNICATOR: Final = 400 * MIB  # one NCCL communicator over NVLink: channels x 4 MiB of buffers each way
# What the caching allocator reserves beyond the tensors of the peak, in percent of them: low, usual, high.
# Single GPUs and FSDP2: reserved memory of published runs lies at or a little above ours. ZeRO-3 gathers and
# frees parameters of all sizes on a stream of its own; two published runs hold a fifth more than ours.
GAPS: Final = (0, 0, 10)
GAPS_ZERO3: Final = (0, 10, 25)


class Overhead(Struct, frozen=True):
    """Bytes beyond tensors, and the range of measured runs."""

    bytes: int
    low: int
    high: int
    values: Mapping[str, Any]
    source: str


def overhead(request: TrainingRequest, tensors: int = 0) -> Overhead:
    """Context, cuBLAS workspaces of forward and backward threads, NCCL communicators, and the gaps that the
    allocator leaves between `tensors` bytes of the peak [bytes]."""
    workspace = workspaces(request.gpu)
    groups = communicators(request)
    nccl = groups * COMMUNICATOR
    low, middle, high = (tensors * percent // 100 for percent in gaps_of(request))
    values = {
        "context": CONTEXT,
        "workspace": workspace,
        "communicators": groups,
        "nccl": nccl,
        "gaps": middle,
    }
    return Overhead(
        CONTEXT + workspace + nccl + middle,
        CONTEXT_LOW + workspace // 2 + nccl // 2 + low,
        CONTEXT_HIGH + workspace + 2 * nccl + high,
        values,
        "nvidia-smi less torch's reserved memory; PyTorch CUDABlas.cpp; NCCL buffers of 4 MiB a channel;"
        " published runs (validation/training.md)",
    )


def workspaces(gpu: Accelerator | None) -> int:
    """cuBLAS workspaces of the forward and the backward thread [bytes]."""
    return 2 * device_of(gpu).cublas_workspace


def communicators(request: TrainingRequest) -> int:
    """Groups of more than one rank that a rank belongs to."""
    sizes = (
        request.data_parallel,
        request.tensor_parallel,
        request.pipeline_parallel,
        request.context_parallel,
        request.expert_parallel,
    )
    return sum(size > 1 for size in sizes)


def usual(gpu: Accelerator | None, groups: int, gaps: int, tensors: int) -> int:
    """`overhead` in bytes alone, for searches: `gaps` in percent."""
    return CONTEXT + workspaces(gpu) + groups * COMMUNICATOR + tensors * gaps // 100


def gaps_of(request: TrainingRequest) -> tuple[int, int, int]:
    """Low, usual and high gaps [percent of the peak's tensors]."""
    return GAPS_ZERO3 if request.stage == 3 and sharding_of(request).gathers else GAPS
