"""How far measured runs lie from the answer: the 90% band of each figure.

Widths are quantiles of the errors on measurements whose device and source were left out of the fit
(`scripts/accuracy_speed.py`), by figure and kind of model; what rests on a class's or a family's row
instead of its own is widened by what was seen of runtimes that had none (30 to 60%).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .coefficients import Basis, coefficients
from .estimate import LATENCIES, RATES

UNSEEN_RUNTIME: Final = 1.4
UNSEEN_DEVICE: Final = 1.25
FLOOD: Final = 100  # requests at once from which a short run never settles: bands of their own
NEAR_SATURATION: Final = 0.9  # above it latencies have no upper bound that could be told
UNBOUNDED: Final = 10.0


@dataclass(frozen=True, slots=True)
class Offered:
    """Requests/s that come, and those that can be sustained."""

    rate: float
    sustainable: float


def ranges(
    figures: Mapping[str, float],
    basis: Basis,
    kind: str,
    offered: Offered | None,
    flooded: bool = False,
) -> dict[str, tuple[float, float]]:
    """Low and high of each figure."""
    wider = (1.0 if basis.runtime_measured else UNSEEN_RUNTIME) * (
        1.0 if basis.device_measured else UNSEEN_DEVICE
    )
    found = {}
    for name in (*LATENCIES, *RATES):
        group = "latency" if name in LATENCIES else "throughput"
        low, high = _band(f"flooded {group}" if flooded else group, name, kind)
        low, high = low / wider, high * wider
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


def _band(group: str, name: str, kind: str) -> tuple[float, float]:
    """Multiples of the answer: the figure's own band for this kind of model, else its group's."""
    bands = coefficients()["bands"]
    for key in (f"{name}/{kind}", f"{group}/{kind}", name, group):
        if key in bands:
            low, high = bands[key]
            return min(low, 1.0), max(high, 1.0)
    raise KeyError(group)
