"""DeepSpeed's ZeRO as its source has it: buffers on the GPU, and what offloading puts into host memory and
onto NVMe (ZeRO-Offload arXiv 2101.06840, ZeRO-Infinity arXiv 2104.07857).

Read off DeepSpeed `edaa722` (`runtime/zero/{stage_1_and_2,stage3,config,offload_config}.py`,
`partitioned_param_coordinator.py`, `runtime/swap_tensor/*`). Sizes that a configuration sets are in elements,
as there.
"""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from ...architecture.tensors import own_parameters
from ...errors import InvalidRequest, Problem
from ...messages import Message
from ...parallelism import Layout, Stage, local_size
from ...units import ceil_div
from ..requests import TrainingRequest, ZeroOptimization
from .resident import Resident
from .sharding import Buffers

WIDE: Final = 4  # master weights, and gradients for the step, are float32
BUFFER: Final = 100_000_000  # elements of `offload_param.buffer_size`
ALIGNED: Final = 1024  # bytes that reads and writes are multiples of (`AIO_ALIGNED_BYTES`)


class Elements(Struct, frozen=True):
    """Elements of a stage's parameters on one rank: all, of the largest module, of the largest tensor, and of
    those that are never divided."""

    total: int
    module: int
    largest: int
    small: int


class HostTerm(Struct, frozen=True):
    """Bytes of one rank outside its GPU; `where` is cpu or nvme, `pinned` page-locked memory."""

    name: str
    bytes: int
    where: str
    pinned: bool = False


def elements_of(stage: Stage, layout: Layout, threshold: int) -> Elements:
    """The sizes that ZeRO-3 goes by; a module is what owns a tensor."""
    total = module = largest = small = 0
    for section, places in stage.sections:
        modules: dict[str, int] = {}
        for parameter in own_parameters(section):
            size = local_size(parameter, layout)
            name = parameter.name.rpartition(".")[0]
            modules[name] = modules.get(name, 0) + size
            largest = max(largest, size)
            small += places * size if size <= threshold else 0
        total += places * sum(modules.values())
        module = max(module, max(modules.values(), default=0))
    return Elements(total, module, largest, small)


def live(zero: ZeroOptimization, sizes: Elements) -> int:
    """Elements of whole parameters on the GPU at once, at the turn from forward to backward.

    A module's parameters are released unless they are used again within `stage3_max_reuse_distance`, of which
    the way to the end and back takes half each; the module at work is there, and others are fetched ahead
    until `stage3_prefetch_bucket_size` is passed, as long as `stage3_max_live_parameters` leaves room. What
    is gathered together arrives in one buffer and is copied out of it (`AllGatherCoalescedHandle.wait`).
    """
    near = zero.stage3_max_reuse_distance // 2 + sizes.module
    ahead = min(zero.stage3_prefetch_bucket_size, max(0, zero.stage3_max_live_parameters - near))
    fetched = min(sizes.total, ahead + sizes.largest)
    return min(sizes.total, near + (fetched if ahead else 0)) + fetched


def gathering(request: TrainingRequest, stage: Stage, layout: Layout, item: int, own: int) -> Buffers:
    """Buffers of stage 3 on the GPU [bytes]; `own`: elements that this rank trains.

    The reduction's bucket is allocated once. The step widens the gradients of one sub-group at a time.
    """
    zero = request.zero_optimization
    sizes = elements_of(stage, layout, zero.stage3_param_persistence_threshold)
    whole = live(zero, sizes) * item
    step = 0 if request.offload.optimizer != "none" else WIDE * min(own, zero.sub_group_size)
    return Buffers(whole, whole, whole, whole, step, (zero.reduce_bucket_size + sizes.small) * item)


def reducing(request: TrainingRequest, stage: Stage, layout: Layout, item: int, own: int) -> Buffers:
    """Buffers of stages 1 and 2 [bytes]: a bucket in backward, and widened gradients in the step; with the
    optimizer in host memory the largest gradient on its way there instead."""
    bucket = request.zero_optimization.reduce_bucket_size * item
    if request.offload.optimizer == "none":
        return Buffers(layer_backward=bucket, other_backward=bucket, step=WIDE * own)
    largest = elements_of(stage, layout, 0).largest
    return Buffers(layer_backward=bucket, other_backward=bucket, always=largest * item)


def host_terms(
    request: TrainingRequest, stage: Stage, layout: Layout, held: Resident, item: int, gradient_item: int
) -> Iterator[HostTerm]:
    """What one rank puts outside its GPU; `item`: bytes of a weight; raises `InvalidRequest`."""
    if request.offload.optimizer == "cpu":
        yield from _optimizer_in_host(request, held, gradient_item)
    elif request.offload.optimizer == "nvme":
        yield from _optimizer_on_nvme(request, held, gradient_item)
    if request.offload.parameters == "cpu":
        yield HostTerm("parameters", held.weights, "cpu", pinned=True)
    elif request.offload.parameters == "nvme":
        yield from _parameters_on_nvme(request, stage, layout, held, item)


def _optimizer_in_host(request: TrainingRequest, held: Resident, gradient_item: int) -> Iterator[HostTerm]:
    """Master weights, states and float32 gradients. Stage 3 keeps gradients in their own type too, stages 1
    and 2 only to add up micro-batches."""
    yield HostTerm("master_weights", WIDE * held.elements, "cpu", pinned=request.stage < 3)
    yield HostTerm("optimizer_states", held.states, "cpu")
    yield HostTerm("gradients", WIDE * held.elements, "cpu", pinned=True)
    if request.stage == 3 or request.gradient_accumulation_steps > 1:
        yield HostTerm("gradient_partitions", gradient_item * held.elements, "cpu", pinned=True)


def _optimizer_on_nvme(request: TrainingRequest, held: Resident, gradient_item: int) -> Iterator[HostTerm]:
    """Files of master weights, states and gradients; in memory one sub-group's buffers."""
    yield HostTerm("master_weights", WIDE * held.elements, "nvme")
    yield HostTerm("optimizer_states", held.states, "nvme")
    yield HostTerm("gradients", WIDE * held.elements, "nvme")
    count = request.zero_optimization.optimizer_buffer_count
    buffer = _aligned(WIDE * _sub_group(request, held))
    yield HostTerm("optimizer_buffers", count * buffer, "cpu", pinned=True)
    yield HostTerm("gradient_partitions", gradient_item * held.elements, "cpu", pinned=True)


def _parameters_on_nvme(
    request: TrainingRequest, stage: Stage, layout: Layout, held: Resident, item: int
) -> Iterator[HostTerm]:
    """Files of all weights; in memory what `max_in_cpu` lets stay, the swap buffers, and one sub-group's
    weights on their way back from the step."""
    zero = request.zero_optimization
    stays = min(held.elements, zero.max_in_cpu)
    yield HostTerm("parameters", held.weights, "nvme")
    yield HostTerm("parameters_in_cpu", stays * item, "cpu", pinned=True)
    size = buffer_size(request, stage, layout)
    yield HostTerm("parameter_buffers", zero.param_buffer_count * _aligned(size * item), "cpu", pinned=True)
    if stays < held.elements:
        yield HostTerm("parameter_write_buffer", _sub_group(request, held) * item, "cpu", pinned=True)


def buffer_size(request: TrainingRequest, stage: Stage, layout: Layout) -> int:
    """Elements of one parameter buffer: as asked, else DeepSpeed's default or what the largest part needs.

    Raises `InvalidRequest` for one that the largest part does not go into, as DeepSpeed does.
    """
    asked, least = request.zero_optimization.param_buffer_size, least_buffer(stage, layout)
    if asked is not None and asked < least:
        field = "zero_optimization.param_buffer_size"
        message = Message("training_small_buffer", {"field": field, "value": asked, "least": least})
        raise InvalidRequest(message, [Problem(field, message)])
    return max(BUFFER, least) if asked is None else asked


def least_buffer(stage: Stage, layout: Layout) -> int:
    """Elements of one rank's part of the largest tensor."""
    return ceil_div(elements_of(stage, layout, 0).largest, layout.data * layout.context)


def _sub_group(request: TrainingRequest, held: Resident) -> int:
    """Elements of the largest group of tensors that is stepped at once."""
    return min(held.elements, request.zero_optimization.sub_group_size)


def _aligned(size: int) -> int:
    return ceil_div(size, ALIGNED) * ALIGNED
