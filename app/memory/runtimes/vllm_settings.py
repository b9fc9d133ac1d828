"""vLLM's defaults by card, and what lies outside torch: figures of start-up logs on H100.

Sources: vLLM `engine/arg_utils.py` (`EngineArgs.get_batch_defaults`), `v1/worker/gpu_worker.py`
(`init_device`: the snapshot after communicators are made). Communicators of several ranks weigh about 1 GiB
each; mixtures of experts make one more.
"""

from typing import Final, NamedTuple

from .device import Device

GIB: Final = 2**30
DEFAULT_BLOCK: Final = 16
MEASURED: Final = (11, 15, 16, 17, 18, 19)  # versions with start-up logs to compare with


class Settings(NamedTuple):
    """The engine's arguments after its own defaults."""

    minor: int
    tokens: int
    sequences: int
    utilization: float
    eager: bool
    second_runner: bool


def default_batch(device: Device, minor: int) -> tuple[int, int]:
    """Tokens and sequences of a step where nothing is asked (`EngineArgs.get_batch_defaults`, server).

    Cards from 160 GiB on have a tier of their own from 0.28; 0.33 keeps the GB10 (12.1) among the small.
    """
    if device.total >= 160 * GIB and minor >= 28:
        return 16384, 1024
    if minor >= 33 and device.capability == (12, 1):
        return 2048, 256
    if device.total >= 70 * GIB and "a100" not in device.name:
        return 8192, 1024
    return 2048, 256


def non_torch_bytes(minor: int, tensor: int) -> int:
    """Growth outside torch between the snapshot and the end of profiling: libraries, communicators [bytes].

    From 0.18 on profiling leaves the nodes of its trial graphs behind (0.12 GiB); from 0.17 on a second
    communicator is first used inside the profile run.

    >>> round(non_torch_bytes(19, 1) / 2**30, 2), round(non_torch_bytes(15, 2) / 2**30, 2)
    (0.25, 0.54)
    """
    if tensor == 1:
        return round((0.13 if minor < 18 else 0.25) * GIB)
    if minor < 17:
        return round(0.54 * GIB)
    return round((2.07 if tensor < 4 else 2.13) * GIB)


def context_bytes(tensor: int, pipeline: int, experts: bool) -> int:
    """CUDA context and communicators before anything is loaded [bytes]."""
    if tensor * pipeline == 1:
        return round(0.51 * GIB)
    if experts:
        return round(1.99 * GIB)
    return round((1.51 if tensor < 4 else 1.53) * GIB)
