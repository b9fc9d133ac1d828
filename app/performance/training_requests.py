"""The question of training speed and the shape of its answer."""

from collections.abc import Mapping

from msgspec import Struct, field

from ..memory.requests import TrainingRequest
from ..messages import Message
from .calibration import Calibration


class TrainingSpeedRequest(Struct, frozen=True):
    """`POST /api/performance/training`: the training request with a device, and how many tokens to train on.

    `virtual_pipeline`: chunks of layers that one pipeline rank holds [4, as far as the layers divide].
    `inter_node_gb_s`: network of one GPU in one direction [10^9 bytes/s; as machines of that class have].
    `calibration`: corrections by measurements of one's own.
    """

    training: TrainingRequest
    tokens: int | None = None
    virtual_pipeline: int | None = None
    inter_node_gb_s: float | None = None
    calibration: Calibration | None = None


class StepTime(Struct, frozen=True):
    """Where the milliseconds of one optimizer step go; the fields but `overlapped` add up to `total`.

    `compute`: matrix products and attention. `memory`: elementwise operations, dequantization, optimizer.
    `communication`: what of it is waited for; `overlapped`: what is hidden behind compute.
    `bubble`: pipeline ranks waiting for each other. `overhead`: launches, host, stragglers.
    """

    compute: float
    memory: float
    communication: float
    bubble: float
    overhead: float
    overlapped: float

    @property
    def total(self) -> float:
        """The whole step [ms]."""
        return self.compute + self.memory + self.communication + self.bubble + self.overhead


class TrainingPerformance(Struct, frozen=True):
    """Speed of training. Times in milliseconds, rates per second, ratios 0 to 1; `None` where unknown.

    `band`: the answer times or divided by this holds nine of ten measured runs of that kind.
    """

    step: StepTime
    tokens_per_step: int
    gpus: int
    tflops_per_gpu: float
    mfu: float
    hfu: float
    bottleneck: str
    utilization: Mapping[str, float | None]
    band: float
    days: float | None = None
    gpu_hours: float | None = None
    cost_usd: float | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    warnings: tuple[Message, ...] = ()

    @property
    def tokens_per_sec(self) -> float:
        """Over all GPUs."""
        return self.tokens_per_step / self.step.total * 1e3

    @property
    def tokens_per_sec_per_gpu(self) -> float:
        """Of one GPU."""
        return self.tokens_per_sec / self.gpus
