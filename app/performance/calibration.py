"""Corrections that somebody's own measurements make: six mechanisms, each times one factor.

A correction of a device (`memory_bandwidth`, `compute`, `network`) counts on the devices that were measured,
one of a runtime (`step_overhead`, `token_overhead`, `request_overhead`) under the runtimes that were. No
correction lifts a rate over the datasheet's, so no corrected answer lies under the roofline's floor.
"""

from typing import Final

from msgspec import Struct
from msgspec.structs import asdict

OF_DEVICE: Final = ("memory_bandwidth", "compute", "network")
OF_RUNTIME: Final = ("step_overhead", "token_overhead", "request_overhead")
MECHANISMS: Final = (*OF_DEVICE, *OF_RUNTIME)
OF_TRAINING: Final = (*OF_DEVICE, "step_overhead")
LEAST, MOST = 0.02, 50.0  # of a factor: beyond them a measurement is of something else


class Factors(Struct, frozen=True):
    """Times what the published measurements give; 1 changes nothing.

    `memory_bandwidth` of weights and cache, `compute` of products and attention, `network` of links:
    more is faster. `step_overhead` of launches and scheduling, `token_overhead` of each sequence in a step
    (sampling, streaming), `request_overhead` of the server beside its engine: more is slower.
    """

    memory_bandwidth: float = 1.0
    compute: float = 1.0
    network: float = 1.0
    step_overhead: float = 1.0
    token_overhead: float = 1.0
    request_overhead: float = 1.0

    def of(self, names: tuple[str, ...]) -> "Factors":
        """These of the factors, the others at 1."""
        return Factors(**{name: value for name, value in asdict(self).items() if name in names})

    @property
    def changed(self) -> tuple[str, ...]:
        """The mechanisms that are corrected."""
        return tuple(name for name in self.__struct_fields__ if getattr(self, name) != 1.0)


NONE: Final = Factors()


class Calibration(Struct, frozen=True):
    """Factors and where they were measured: `gpus` and `backends` by name; of training, frameworks."""

    factors: Factors
    gpus: tuple[str, ...]
    backends: tuple[str, ...]
    task: str = "inference"
    name: str | None = None
    measurements: int = 0

    def on(self, gpu: str, backend: str) -> Factors:
        """What of it counts on a device under a runtime."""
        names = (OF_DEVICE if gpu in self.gpus else ()) + (OF_RUNTIME if backend in self.backends else ())
        return self.factors.of(names)

    def idle(self, gpu: str, backend: str) -> tuple[str, ...]:
        """The corrections that do not count there."""
        kept = self.on(gpu, backend).changed
        return tuple(name for name in self.factors.changed if name not in kept)
