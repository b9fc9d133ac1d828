"""How far measured runs lie from the answer: the 90% band of each figure.

Widths are quantiles of the errors on measurements whose device and source were left out of the fit
(`scripts/accuracy_speed.py`), by figure and kind of model; what rests on a class's or a family's row
instead of its own is widened by what was seen of runtimes that had none (30 to 60%).
"""

from collections.abc import Mapping
from typing import Final

from .coefficients import Basis, coefficients
from .estimate import LATENCIES, RATES

UNSEEN_RUNTIME: Final = 1.6
UNSEEN_DEVICE: Final = 1.25
NEAR_SATURATION: Final = 0.9  # above it latencies have no upper bound that could be told
UNBOUNDED: Final = 10.0


def ranges(
    figures: Mapping[str, float], basis: Basis, kind: str, saturation: float | None
) -> dict[str, tuple[float, float]]:
    """Low and high of each figure."""
    found = {}
    for name in (*LATENCIES, *RATES):
        low, high = _band("latency" if name in LATENCIES else "throughput", name, kind)
        wider = (1.0 if basis.runtime_measured else UNSEEN_RUNTIME) * (
            1.0 if basis.device_measured else UNSEEN_DEVICE
        )
        low, high = low / wider, high * wider
        if name in LATENCIES and saturation is not None and saturation > NEAR_SATURATION:
            high = max(high, UNBOUNDED)
        found[name] = (figures[name] * low, figures[name] * high)
    return found


def _band(group: str, name: str, kind: str) -> tuple[float, float]:
    """Multiples of the answer: the figure's own band for this kind of model, else its group's."""
    bands = coefficients()["bands"]
    for key in (f"{name}/{kind}", name, f"{group}/{kind}", group):
        if key in bands:
            low, high = bands[key]
            return low, high
    raise KeyError(group)
