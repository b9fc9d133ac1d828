"""The question of what to run a model on, and the shape of its answer."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field

from ..hardware import Accelerator
from ..messages import Message
from ..performance.requests import PerformanceRequest
from ..performance.training_requests import TrainingSpeedRequest

COUNTS: Final = (1, 2, 4, 8, 16)  # GPUs of one replica
MOST_GPUS: Final = 16  # in all, and
MOST_OPTIONS: Final = 10  # answered, where nothing else is asked for


class Targets(Struct, frozen=True):
    """What an option must hold; `None` asks nothing. Latencies in milliseconds, of `statistic`.

    Prices are in the request's currency. `days` and `max_cost` are of a training run over its tokens.
    """

    ttft_ms: float | None = None
    tpot_ms: float | None = None
    itl_ms: float | None = None
    e2e_latency_ms: float | None = None
    statistic: str = "mean"
    requests_per_sec: float | None = None
    output_tokens_per_sec: float | None = None
    tokens_per_sec: float | None = None
    days: float | None = None
    max_price_per_hour: float | None = None
    max_cost: float | None = None


class Money(Struct, frozen=True):
    """How prices are told: `rate` units of `currency` for one dollar; `own` prices of a GPU hour by device
    name, in that currency already."""

    currency: str = "USD"
    rate: float = 1.0
    own: Mapping[str, float] = field(default_factory=dict)

    def per_hour(self, gpu: Accelerator) -> float | None:
        """Of one GPU; None where no price is known."""
        if gpu.name in self.own:
            return self.own[gpu.name]
        return None if gpu.price_per_hour is None else gpu.price_per_hour * self.rate

    def date(self, gpu: Accelerator) -> str | None:
        """When the price was read; None for one that the request brought, or where there is none."""
        return None if gpu.name in self.own or gpu.cloud_price is None else gpu.cloud_price.date


class Limits(Struct, frozen=True):
    """What the search may choose among. Sizes that are given are kept, `None` ones are searched."""

    gpus: tuple[Accelerator, ...]
    max_gpus: int = MOST_GPUS
    tensor_parallel: int | None = None
    pipeline_parallel: int | None = None
    data_parallel: int | None = None
    expert_parallel: int | None = None
    backend: str | None = None
    quantizations: tuple[str | None, ...] = ()
    options: int = MOST_OPTIONS


class PlanRequest(Struct, frozen=True):
    """`POST /api/recommend` for serving. `ask` holds everything but the device and the layout.

    `concurrency` of `ask` (or a batch that was asked for) is a load that must be held; with neither that
    nor a rate, the largest batch that holds the targets is searched.
    """

    ask: PerformanceRequest
    limits: Limits
    targets: Targets = field(default_factory=Targets)
    money: Money = field(default_factory=Money)
    checkpoint: str = "model"  # hub id or folder, for launch commands


class TrainingPlanRequest(Struct, frozen=True):
    """`POST /api/recommend` for training: the micro-batch is searched unless `batch_size` was asked for."""

    ask: TrainingSpeedRequest
    limits: Limits
    targets: Targets = field(default_factory=Targets)
    money: Money = field(default_factory=Money)
    keep_batch: bool = False
    keep_checkpointing: bool = False
    checkpoint: str = "model"


class Layout(Struct, frozen=True):
    """Sizes of the groups of one option."""

    tensor: int = 1
    pipeline: int = 1
    data: int = 1
    expert: int = 1
    context: int = 1

    @property
    def replica(self) -> int:
        """GPUs of one replica."""
        return self.tensor * self.pipeline * self.context

    @property
    def gpus(self) -> int:
        """GPUs in all."""
        return self.replica * self.data


class Option(Struct, frozen=True):
    """One way that holds the targets.

    `figures` by the contract's names; `need` and `usable` bytes of the fullest GPU; `speed` and `price` are
    what the front is drawn by (`price` of all GPUs for an hour, None where unknown), `bits` of a weight.
    """

    gpu: Accelerator
    layout: Layout
    backend: str
    precision: str | None
    quantization: str | None
    batch: int
    figures: Mapping[str, float | None]
    need: int
    usable: int
    speed: float
    efficiency: float
    bits: float
    price: float | None
    cost: float | None
    settings: Mapping[str, object] = field(default_factory=dict)
    on_front: bool = False

    @property
    def headroom(self) -> int:
        """Bytes of the fullest GPU that stay free."""
        return self.usable - self.need


class Rejection(Struct, frozen=True):
    """A device that gave no option, and why: the code of a sentence and the values in it."""

    gpu: str
    reason: Message


class Plan(Struct, frozen=True):
    """The answer: options, best first; devices without one; where there is none, one change that gives one.

    `looked_at`: combinations in all, `worked_out`: those that no bound could rule out.
    """

    options: tuple[Option, ...]
    rejected: tuple[Rejection, ...]
    change: Mapping[str, object] | None = None
    looked_at: int = 0
    worked_out: int = 0
    warnings: tuple[Message, ...] = ()
