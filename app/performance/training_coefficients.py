"""Efficiencies and overheads of training, kept as data: fitted by `scripts/fit_training_speed.py`."""

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from ..hardware import Accelerator

FILE: Final = Path(__file__).with_name("training_coefficients.json")
DEFAULT: Final = "other"


class Coefficients(Struct, frozen=True):
    """What one class of devices reaches; shares of datasheet peaks unless a unit says otherwise.

    Per class: `linear` and `attention` (16-bit), `narrow` (of the 8-bit peak, beside `linear`), `grouped`
    (experts, beside `linear`), `expert_layer` [us of one layer of experts and micro-batch].

    Shared: `narrow_width` [elements] and `small_batch` [thousand tokens] are what a product loses where it
    is small, `small_expert` likewise per expert [thousand tokens]; `scan` of the 16-bit peak in recurrences;
    `fusion` of elementwise bytes; `permuted` [bytes per routed element]; `routed` and `tensor` exposed shares
    of all-to-all and of tensor-parallel sums; `layer` [us], `step` [ms], `straggling` per doubling beyond
    eight GPUs; `optimizer` of its bytes; `reduced` exposed share of the gradients' reduction; `gathered` of
    FSDP's traffic that nothing hides.
    """

    linear: float
    attention: float
    narrow: float
    grouped: float
    expert_layer: float
    narrow_width: float
    small_batch: float
    small_expert: float
    scan: float
    fusion: float
    permuted: float
    routed: float
    tensor: float
    layer: float
    step: float
    straggling: float
    optimizer: float
    reduced: float
    gathered: float


class DeviceClass(Struct, frozen=True):
    """A class of devices: `band` and `band_experts` hold nine of ten measured runs, `network` is in GB/s."""

    name: str
    coefficients: Coefficients
    network: float
    band: float
    band_experts: float
    measured: bool
    measured_experts: bool


@cache
def data() -> dict[str, Any]:
    """The file as it is."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


@cache
def device_class(name: str) -> DeviceClass:
    """One class by its name in the file."""
    own = data()["classes"][name]
    values = {**data()["shared"], **own["coefficients"]}
    coefficients = Coefficients(**{name: values[name] for name in Coefficients.__struct_fields__})
    return DeviceClass(
        name,
        coefficients,
        own["network_gb_s"],
        own["band"],
        own["band_experts"],
        own["rows"] > 0 and name != DEFAULT,
        own["rows_experts"] > 0 and name != DEFAULT,
    )


def class_of(gpu: Accelerator) -> DeviceClass:
    """The class of a device, by its architecture; one that nobody measured takes the mean of the others."""
    for name, own in data()["classes"].items():
        if gpu.architecture in own["architectures"]:
            return device_class(name)
    return device_class(DEFAULT)
