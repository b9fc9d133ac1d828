"""The shape of an answer on speed: latencies with their spread, throughput, what bounds it, and a band."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct, field

from ..memory.estimate import Estimate
from ..messages import Message

LATENCIES: Final = ("ttft_ms", "tpot_ms", "itl_ms", "e2e_latency_ms")
RATES: Final = ("throughput_tokens_per_sec", "output_tokens_per_sec", "requests_per_sec")


class Quantiles(Struct, frozen=True):
    """A latency over requests [s]."""

    mean: float
    p50: float
    p90: float
    p99: float


class Flow(Struct, frozen=True):
    """What a load does to a deployment: latencies [s], requests/s, distance to saturation.

    `percentiles` is empty where requests start together. `in_flight`: sequences decoding at once in one
    replica, `waiting`: requests queued before it.
    """

    ttft: float
    tpot: float
    itl: float
    e2e: float
    requests_per_s: float
    in_flight: float
    waiting: float = 0.0
    saturation: float | None = None
    sustainable: float | None = None
    spread: Callable[[], Mapping[str, Quantiles]] = dict

    @property
    def percentiles(self) -> Mapping[str, Quantiles]:
        """Each latency over requests, worked out when asked for: a search compares means mostly."""
        return self.spread()


class OperationTime(Struct, frozen=True):
    """One operation in one phase: `ms` of one step, `share` of the time of a request."""

    operation: str
    phase: str
    count: int
    flops: float
    bytes: float
    sent: float
    ms: float
    share: float
    bound: str


class Performance(Struct, frozen=True):
    """The answer: `figures` by the contract's names, `ranges` their 90% bands."""

    figures: Mapping[str, float]
    percentiles: Mapping[str, Mapping[str, float]] | None
    saturation: float | None
    bottleneck: str
    time_shares: Mapping[str, float]
    utilization: Mapping[str, float]
    operations: tuple[OperationTime, ...]
    ranges: Mapping[str, tuple[float, float]]
    cost_per_million_tokens: float | None
    cost_per_million_output_tokens: float | None
    memory: Estimate
    tpot_definition: str = "after_first"
    warnings: tuple[Message, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
