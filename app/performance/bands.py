"""How far measured runs lie from the answer: the 90% band of each figure.

Widths come from measurements whose source and device were left out of the fit (`scripts/accuracy_speed.py`),
by figure, by how requests came, by kind of model, and by whether other measurements of the same runtime and
the same class of device were left: what rests on a neighbour's row instead of its own is as wide as such
answers were off.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from .coefficients import Basis, coefficients
from .estimate import LATENCIES, RATES

FLOOD: Final = 100  # requests at once from which a short run never settles: bands of their own
NEAR_SATURATION: Final = 0.9  # above it latencies have no upper bound that could be told
UNBOUNDED: Final = 10.0


class Offered(Struct, frozen=True):
    """Requests/s that come, and those that can be sustained."""

    rate: float
    sustainable: float


class Regime(Struct, frozen=True):
    """What bands are told apart by.

    `load`: batch (requests that start together), served (a stream or a closed loop) or flooded (a loop of so
    many that it never settles). `kind`: dense, experts or llama.cpp. `known`: rows of the runtime and of the
    device's class moved the coefficients.
    """

    load: str
    kind: str
    known: bool

    def keys(self, figure: str) -> Iterator[str]:
        """Names of bands that a figure takes, the closest first."""
        family = figure if figure == "ttft_ms" else "latency" if figure in LATENCIES else "throughput"
        known = "known" if self.known else "new"
        if self.kind == "llama.cpp":
            yield f"{family}/llama.cpp/{known}"
            yield f"{family}/llama.cpp"
        yield f"{family}/{self.load}/{self.kind}/{known}"
        yield f"{family}/{self.load}/{known}"
        yield f"{family}/{known}"
        yield family


def load_of(batch: bool, concurrency: int | None) -> str:
    """How requests come."""
    if batch:
        return "batch"
    return "flooded" if (concurrency or 0) >= FLOOD else "served"


def known(basis: Basis) -> bool:
    """Whether an answer rests on measurements of its own runtime and class of device."""
    return basis.device_measured and basis.runtime_measured


def ranges(
    figures: Mapping[str, float], regime: Regime, offered: Offered | None
) -> dict[str, tuple[float, float]]:
    """Low and high of each figure."""
    found = {}
    for name in (*LATENCIES, *RATES):
        low, high = band(name, regime)
        if offered is not None:
            low, high = _under_load(name, low, high, offered)
        found[name] = (figures[name] * low, figures[name] * high)
    return found


def _under_load(name: str, low: float, high: float, offered: Offered) -> tuple[float, float]:
    """No more is answered than comes, and no less than the band of what can be sustained."""
    load = offered.rate / offered.sustainable
    if name in RATES:
        answered = min(offered.rate, offered.sustainable)
        least = min(offered.rate, low * offered.sustainable) / answered
        return least, min(offered.rate, high * offered.sustainable) / answered
    # Where the replica may be slower by the band, it may be saturated already.
    return low, max(high, UNBOUNDED) if load > NEAR_SATURATION else high


def band(name: str, regime: Regime) -> tuple[float, float]:
    """Multiples of the answer between which nine of ten measured figures lie."""
    bands = coefficients()["bands"]
    low, high = next(bands[key] for key in regime.keys(name) if key in bands)
    return min(low, 1.0), max(high, 1.0)
