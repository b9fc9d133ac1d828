"""Accelerators: what one device holds, moves and computes.

Figures are peaks per device as sold, dense (never the doubled rates of structured sparsity). This module
only describes; the files that hold the figures are read by the registry.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from .errors import InvalidRequest, Problem
from .messages import Message

MIB: Final = 2**20
GIB: Final = 2**30
_LARGEST: Final = 1e9  # of any figure in a request; keeps bytes below 2^63

TFLOPS_KEYS: Final = ("fp32", "tf32", "fp16", "bf16", "fp8", "int8", "fp4")
_TFLOPS_ALIASES: Final = {
    "float32": "fp32",
    "tfloat32": "tf32",
    "float16": "fp16",
    "bfloat16": "bf16",
    "float8": "fp8",
    "float4": "fp4",
    "nvfp4": "fp4",
    "mxfp4": "fp4",
}

# Fields of the request's `gpu` object beside `name`, `tflops` and `price_per_hour`.
_NUMBERS: Final = (
    "memory_gb",
    "memory_bandwidth_gb_s",
    "interconnect_gb_s",
    "tdp_w",
)
_COUNTS: Final = ("memory_mib_usable", "scale_up_domain")
_TEXTS: Final = ("vendor", "device_type", "architecture", "compute_capability", "interconnect_type")
OVERRIDES: Final = ("tflops", "price_per_hour", *_NUMBERS, *_COUNTS, *_TEXTS)


class CloudPrice(Struct, frozen=True):
    """What one device costs to rent [USD per hour], as one dated page gave it."""

    low: float | None = None
    typical: float | None = None
    date: str | None = None
    source: str | None = None
    note: str | None = None


class Accelerator(Struct, frozen=True):
    """One device; `None` means not supported or not known, never zero.

    `checked_by` names for each figure the sources that agree on it, `sources` spells those out, `conflicts`
    holds figures of other sources that were not taken.
    """

    name: str
    label: str
    vendor: str
    device_type: str  # gpu, cpu, tpu, soc (memory shared with the processor) or npu
    architecture: str | None = None
    compute_capability: str | None = None  # CUDA's ("9.0"), or AMD's target ("gfx942")
    memory_gb: float | None = None  # as sold; binary gigabytes, whatever the label says
    memory_mib_usable: int | None = None  # what the driver reports [MiB]
    memory_mib_source: str | None = None
    memory_type: str | None = None
    memory_bandwidth_gb_s: float | None = None  # [10^9 bytes/s]
    tflops: Mapping[str, float] = field(default_factory=dict)  # [10^12/s], dense, float32 accumulation
    tflops_fp16_accumulate: Mapping[str, float] = field(default_factory=dict)
    interconnect_type: str | None = None
    interconnect_gb_s: float | None = None  # in one direction [10^9 bytes/s]
    scale_up_domain: int | None = None  # devices that share the fast interconnect
    devices_seen: int = 1  # how many devices software sees in this one product
    tdp_w: float | None = None
    release_year: int | None = None
    launch_price_usd: float | None = None
    cloud_price: CloudPrice | None = None
    verification: str = "none"  # two_sources, partial, unverified, none; request for a user's own figures
    checked_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    conflicts: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    notes: str = ""

    @property
    def memory_is_reported(self) -> bool:
        """Whether `memory_bytes_usable` is the driver's own figure rather than the size on the label."""
        return self.memory_mib_usable is not None

    @property
    def memory_bytes_usable(self) -> int:
        """Memory that software sees [bytes]: the driver's total, else the label's size in binary gigabytes.

        Raises `InvalidRequest` where neither is known.

        >>> custom({"memory_gb": 80}).memory_bytes_usable
        85899345920
        """
        if self.memory_mib_usable is not None:
            return self.memory_mib_usable * MIB
        if self.memory_gb is not None:
            return round(self.memory_gb * GIB)
        message = Message("gpu_memory_unknown", {"name": self.name})
        raise InvalidRequest(message, [Problem("gpu.memory_gb", message)])

    @property
    def price_per_hour(self) -> float | None:
        """Rent [USD per hour]: the typical price, where there is none the lowest, else None."""
        price = self.cloud_price
        if price is None:
            return None
        return price.typical if price.typical is not None else price.low

    def peak_tflops(self, dtype: str) -> float | None:
        """Dense peak for a data type [10^12 operations/s]; None where unsupported or unknown.

        >>> custom({"memory_gb": 80, "tflops": {"bfloat16": 989.5}}).peak_tflops("bf16")
        989.5
        """
        return self.tflops.get(_tflops_key(dtype))

    def warnings(self) -> tuple[Message, ...]:
        """What a reader should know before trusting an answer for this device."""
        found = []
        if self.device_type == "cpu" and self.verification != "request":
            found.append(Message("gpu_memory_is_maximum", {"name": self.name, "memory_gb": self.memory_gb}))
        elif not self.memory_is_reported and self.memory_gb is not None:
            found.append(Message("gpu_memory_from_label", {"name": self.name, "memory_gb": self.memory_gb}))
        if self.device_type == "soc":
            found.append(Message("gpu_memory_shared", {"name": self.name}))
        if self.devices_seen > 1:
            found.append(Message("gpu_seen_as_several", {"name": self.name, "devices": self.devices_seen}))
        if self.verification in ("unverified", "none"):
            found.append(Message("gpu_unverified", {"name": self.name}))
        return tuple(found)

    def with_overrides(self, fields: Mapping[str, Any]) -> "Accelerator":
        """The same device with the figures of a request's `gpu` object put over its own.

        `fields` has the units of this class; `tflops` is merged key by key. Raises `InvalidRequest` that
        names every wrong field. A new `memory_gb` drops the driver's figure, which was for another size.
        """
        problems = _problems(fields)
        if problems:
            raise InvalidRequest(problems[0].message, problems)
        own = (*_NUMBERS, *_COUNTS, *_TEXTS)
        changes = {name: fields[name] for name in own if fields.get(name) is not None}
        if changes.get("memory_gb", self.memory_gb) != self.memory_gb:
            changes.setdefault("memory_mib_usable", None)
        if fields.get("tflops"):
            changes["tflops"] = {**self.tflops, **{_tflops_key(k): v for k, v in fields["tflops"].items()}}
        if fields.get("price_per_hour") is not None:
            changes["cloud_price"] = CloudPrice(typical=fields["price_per_hour"], source="request")
        return replace(self, **changes)


def custom(fields: Mapping[str, Any]) -> Accelerator:
    """A device of the caller's own, described by a `gpu` object without a name; needs its memory.

    Raises `InvalidRequest` that names every missing or wrong field.
    """
    if fields.get("memory_gb") is None and fields.get("memory_mib_usable") is None:
        missing = Message("gpu_needs_memory", {"field": "gpu.memory_gb"})
        raise InvalidRequest(missing, [Problem("gpu.memory_gb", missing), *_problems(fields)])
    blank = Accelerator("custom", "custom", "custom", "gpu", scale_up_domain=1, verification="request")
    return blank.with_overrides(fields)


def _tflops_key(dtype: str) -> str:
    name = dtype.lower().translate(str.maketrans("", "", "-_. "))
    return _TFLOPS_ALIASES.get(name, name)


def _problems(fields: Mapping[str, Any]) -> list[Problem]:
    """Everything that is wrong with a `gpu` object, in its own order; `name` is the caller's to look up."""
    found = []
    for name, value in fields.items():
        if name == "name" or value is None:
            continue
        if name not in OVERRIDES:
            found.append(_unknown("gpu", name, OVERRIDES))
        elif name == "tflops":
            found.extend(_tflops_problems(value))
        elif not _is_valid(name, value):
            found.append(_problem(f"gpu.{name}", _expected(name)))
    return found


def _tflops_problems(value: Any) -> list[Problem]:
    if not isinstance(value, Mapping):
        return [_problem("gpu.tflops", "gpu_needs_object")]
    found = []
    for dtype, rate in value.items():
        if _tflops_key(str(dtype)) not in TFLOPS_KEYS:
            found.append(_unknown("gpu.tflops", str(dtype), TFLOPS_KEYS))
        elif not _is_positive(rate):
            found.append(_problem(f"gpu.tflops.{dtype}", "gpu_needs_positive"))
    return found


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= _LARGEST


def _is_valid(name: str, value: Any) -> bool:
    if name in _TEXTS:
        return isinstance(value, str) and 0 < len(value) <= 128
    if name == "price_per_hour" and value == 0 and not isinstance(value, bool):
        return True
    return _is_positive(value) and (name not in _COUNTS or isinstance(value, int))


def _expected(name: str) -> str:
    if name in _TEXTS:
        return "gpu_needs_text"
    return "gpu_needs_count" if name in _COUNTS else "gpu_needs_positive"


def _problem(path: str, code: str) -> Problem:
    return Problem(path, Message(code, {"field": path}))


def _unknown(path: str, name: str, known: tuple[str, ...]) -> Problem:
    closest = (get_close_matches(name, known, n=1) or [", ".join(known)])[0]
    full = f"{path}.{name}"
    return Problem(full, Message("gpu_unknown_field", {"field": full, "closest": closest}))
