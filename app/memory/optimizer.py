"""What optimizers keep for each parameter, and what their step needs besides.

Every state is a function of one tensor's shape, so that exact totals are sums over tensors. Sizes are
bytes; `item` is bytes per element of the state's data type.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from math import prod
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ..units import ceil_div

Shape = tuple[int, ...]

BLOCK_8BIT: Final = 256  # elements that share a scale in 8-bit optimizers
LEAST_8BIT: Final = 4096  # smaller tensors keep 32-bit states
STEP_COUNTER: Final = 4  # one float32 per tensor, on the host unless the step is fused or captured


class Group(Struct, frozen=True):
    """`count` trainable tensors of one shape; `item` bytes per element of the stored weight.

    `matrix`: it is one of the hidden layers' matrices, which matrix optimizers treat by themselves.
    """

    shape: Shape
    count: int
    item: int
    matrix: bool = True
    in_place: bool = False  # trained where it stands, beside adapters that are tensors of their own
    expert: bool = False  # of routed experts, which expert parallelism divides

    @property
    def elements(self) -> int:
        """Elements of one tensor."""
        return prod(self.shape)


def adam_state(shape: Shape, item: int) -> int:
    """First and second moment [bytes] (arXiv 1412.6980; torch.optim.AdamW).

    >>> adam_state((1000,), 4)
    8000
    """
    return 2 * item * prod(shape)


def adam_8bit_state(shape: Shape, item: int = 1) -> int:
    """Two moments in 8 bits with a float32 scale per 256 elements [bytes] (arXiv 2110.02861; bitsandbytes
    `Optimizer2State`: `min_8bit_size` 4096, block-wise `absmax1` and `absmax2`).

    >>> adam_8bit_state((4096, 4096))
    34078720
    """
    elements = prod(shape)
    if elements < LEAST_8BIT:
        return adam_state(shape, 4)
    return 2 * (elements + 4 * ceil_div(elements, BLOCK_8BIT))


def momentum_state(shape: Shape, item: int) -> int:
    """One buffer [bytes]: SGD with momentum, Lion (arXiv 2302.06675), Muon's matrices."""
    return item * prod(shape)


def lion_8bit_state(shape: Shape, item: int = 1) -> int:
    """One momentum in 8 bits with a float32 scale per 256 elements [bytes] (bitsandbytes `Lion8bit`)."""
    elements = prod(shape)
    return 4 * elements if elements < LEAST_8BIT else elements + 4 * ceil_div(elements, BLOCK_8BIT)


def no_state(shape: Shape, item: int) -> int:
    """SGD without momentum keeps nothing."""
    return 0


def adafactor_state(shape: Shape, item: int) -> int:
    """Row and column means of the second moment; the full moment of a vector [bytes] (arXiv 1804.04235,
    transformers `Adafactor` without first moment: means over the last two dimensions).

    >>> adafactor_state((4096, 11008), 4)
    60416
    """
    if len(shape) < 2:
        return item * prod(shape)
    return item * (prod(shape[:-1]) + prod(shape[:-2]) * shape[-1])


def adam_mini_state(shape: Shape, item: int) -> int:
    """A first moment, and one second moment per row [bytes] (arXiv 2406.16793)."""
    return item * (prod(shape) + shape[0])


def galore_state(shape: Shape, item: int, rank: int = 128) -> int:
    """Adam moments of the gradient projected to `rank`, and the projection [bytes] (arXiv 2403.03507;
    galore_torch `GaLoreProjector`: the longer side stays, the projection has at most the shorter one's rank).

    >>> galore_state((4096, 4096), 2, 128)
    3145728
    """
    if len(shape) != 2:
        return adam_state(shape, item)
    rank = min(rank, *shape)
    return item * (2 * rank * max(shape) + rank * min(shape))


def galore_8bit_state(shape: Shape, item: int, rank: int = 128) -> int:
    """8-bit moments of the projected gradient, and the projection in the weight's type [bytes] (galore_torch
    `GaLoreAdamW8bit`)."""
    if len(shape) != 2:
        return adam_8bit_state(shape)
    rank = min(rank, *shape)
    return adam_8bit_state((rank, max(shape))) + item * rank * min(shape)


class Optimizer(Struct, frozen=True):
    """An optimizer: its state per tensor, the state of tensors that are no hidden matrices, its temporaries.

    `fixed`: its states have the type that it chooses, whatever `optimizer_dtype` says.
    `copies`: lists of parameter size that a step over lists holds (foreach), in units of the gradients; 0 for
    those that step one tensor after the other only.
    `loops`: tensors of the largest parameter's size that a step one by one holds.
    `paged`: states live in unified memory and leave the GPU under pressure.
    """

    state: Callable[[Shape, int], int]
    other: Callable[[Shape, int], int] | None = None
    fixed: bool = False
    copies: int = 1
    loops: int = 2
    fused: bool = False
    paged: bool = False


OPTIMIZERS: Final[Mapping[str, Optimizer]] = {
    "AdamW": Optimizer(adam_state, copies=1, loops=2, fused=True),
    "Adam": Optimizer(adam_state, copies=1, loops=2, fused=True),
    "Quantized AdamW": Optimizer(adam_8bit_state, fixed=True, copies=0, loops=0),
    "Paged AdamW": Optimizer(adam_state, fixed=False, copies=0, loops=0, paged=True),
    "Paged 8-bit AdamW": Optimizer(adam_8bit_state, fixed=True, copies=0, loops=0, paged=True),
    "SGD": Optimizer(momentum_state, copies=0, loops=0, fused=True),
    "Adafactor": Optimizer(adafactor_state, copies=0, loops=3),
    "Lion": Optimizer(momentum_state, copies=0, loops=2),
    "8-bit Lion": Optimizer(lion_8bit_state, fixed=True, copies=0, loops=0),
    "Muon": Optimizer(momentum_state, other=adam_state, copies=0, loops=4),
    "GaLore": Optimizer(galore_state, other=adam_state, copies=0, loops=2),
    "8-bit GaLore": Optimizer(galore_8bit_state, other=adam_8bit_state, fixed=True, copies=0, loops=2),
    "Schedule-Free AdamW": Optimizer(adam_state, copies=1, loops=2),
    "Adam-mini": Optimizer(adam_mini_state, copies=0, loops=2),
}


GALORE: Final[Mapping[str, Callable[..., int]]] = {"GaLore": galore_state, "8-bit GaLore": galore_8bit_state}


def find(name: str, momentum: float = 0.9, rank: int = 128) -> Optimizer:
    """The optimizer of this name; SGD without momentum keeps nothing; `rank` is GaLore's."""
    if name in GALORE:
        return replace(OPTIMIZERS[name], state=partial(GALORE[name], rank=rank))
    if name == "SGD" and momentum == 0:
        return Optimizer(no_state, copies=0, loops=0, fused=True)
    return OPTIMIZERS[name]


def state_item(dtype: str, weight_item: int) -> int:
    """Bytes per element of a state: float32, 16-bit, or the weight's own with `auto`."""
    return {"float32": 4, "bfloat16": 2, "float16": 2}.get(dtype, weight_item)


def state_bytes(optimizer: Optimizer, groups: Iterable[Group], dtype: str) -> int:
    """Bytes of all states on the device."""
    total = 0
    for group in groups:
        state = optimizer.state if group.matrix or optimizer.other is None else optimizer.other
        item = group.item if optimizer.fixed else state_item(dtype, group.item)
        total += group.count * state(group.shape, item)
    return total


def step_temporaries(optimizer: Optimizer, groups: Iterable[Group], *, foreach: bool, fused: bool) -> int:
    """Bytes that a step holds besides weights, gradients and states.

    foreach keeps the square roots of all second moments at once; one tensor after the other needs two of
    the largest; a fused kernel needs nothing (torch.optim._multi_tensor_adamw, _single_tensor_adamw).
    """
    if fused and optimizer.fused:
        return 0
    if foreach and optimizer.copies:
        return optimizer.copies * sum(group.count * group.elements * group.item for group in groups)
    return optimizer.loops * max((group.elements * group.item for group in groups), default=0)
