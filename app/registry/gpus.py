"""Accelerators by the names that people type: read from `configs/gpus`, one file each."""

from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from ..errors import InvalidRequest, Problem
from ..hardware import TFLOPS_KEYS, Accelerator, CloudPrice, custom
from ..messages import Message
from .files import BrokenFile, BrokenFileError, Kinds, check_fields, configs_folder, read_object, wrong_field
from .names import NameIndex, normalised, unknown

ALIASES: Final = "aliases.json"
DEVICE_TYPES: Final = ("gpu", "cpu", "tpu", "soc", "npu")
VERIFICATIONS: Final = ("two_sources", "partial", "unverified", "none")

_NUMBER: Final = (int, float)
_KINDS: Final[Kinds] = {
    "name": str,
    "label": str,
    "vendor": str,
    "device_type": str,
    "architecture": str,
    "compute_capability": str,
    "memory_gb": _NUMBER,
    "memory_mib_usable": int,
    "memory_mib_source": str,
    "memory_type": str,
    "memory_bandwidth_gb_s": _NUMBER,
    "tflops": dict,
    "tflops_fp16_accumulate": dict,
    "interconnect_type": str,
    "interconnect_gb_s": _NUMBER,
    "scale_up_domain": int,
    "devices_seen": int,
    "tdp_w": _NUMBER,
    "release_year": int,
    "launch_price_usd": _NUMBER,
    "cloud_price": dict,
    "verification": str,
    "checked_by": dict,
    "conflicts": list,
    "sources": dict,
    "notes": str,
}
# Words that people put before the name of a device, and that say nothing more.
_VENDORS: Final = ("nvidia", "amd", "intel", "apple", "google", "huawei", "aws", "cambricon")
_BRANDS: Final = ("geforce", "tesla", "instinct", "radeon", "cloud")
_REQUIRED: Final = ("name", "label", "vendor", "device_type", "verification")


class Match(Struct, frozen=True):
    """What a name meant: the device, and what to know about the choice."""

    accelerator: Accelerator
    warnings: tuple[Message, ...] = ()


class _Alias(Struct, frozen=True):
    """A canonical name, and the variants that the alias could have meant too."""

    name: str
    variants: tuple[str, ...] = ()


class GpuRegistry:
    """All accelerators; `problems` lists the files that were left out."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or configs_folder() / "gpus"
        self.problems: list[BrokenFile] = []
        self._devices: dict[str, Accelerator] = {}
        self._names: NameIndex[_Alias] = NameIndex()
        for path in sorted(self.folder.glob("*.json")):
            if path.name != ALIASES:
                self._keep(path)
        self._name_devices()
        self._read_aliases()

    def __len__(self) -> int:
        return len(self._devices)

    def __iter__(self) -> Iterator[Accelerator]:
        return iter(self._devices.values())

    def find(self, name: str) -> Match:
        """The device of a name, with a warning where the name covers several variants.

        Raises `UnknownName` with the closest names.
        """
        alias = self._names.get(name) or self._names.get(_without_maker(name))
        if alias is None:
            raise unknown("unknown_gpu", name, self._devices)
        if not alias.variants:
            return Match(self._devices[alias.name])
        params = {"alias": name, "name": alias.name, "variants": ", ".join(alias.variants)}
        return Match(self._devices[alias.name], (Message("gpu_alias_usual", params),))

    def get(self, name: str) -> Accelerator:
        """The device of a name; raises `UnknownName` with the closest names."""
        return self.find(name).accelerator

    def resolve(self, gpu: str | Mapping[str, Any]) -> Match:
        """The device of a request's `gpu` field: a name, or an object whose fields override.

        Raises `UnknownName`, or `InvalidRequest` that names every wrong field of the object.
        """
        if isinstance(gpu, str):
            return self.find(gpu)
        name = gpu.get("name")
        if name is None:
            return Match(custom(gpu))
        if not isinstance(name, str):
            message = Message("gpu_needs_text", {"field": "gpu.name"})
            raise InvalidRequest(message, [Problem("gpu.name", message)])
        found = self.find(name)
        return Match(found.accelerator.with_overrides(gpu), found.warnings)

    def list(
        self, device_type: str | None = None, vendor: str | None = None, min_memory_gb: float | None = None
    ) -> list[Accelerator]:
        """Devices of one type, of one vendor, with at least so much memory as sold [GB], by name."""
        return [
            each
            for each in self
            if (device_type is None or each.device_type == normalised(device_type))
            and (vendor is None or normalised(each.vendor) == normalised(vendor))
            and (min_memory_gb is None or (each.memory_gb or 0) >= min_memory_gb)
        ]

    def vendors(self) -> tuple[str, ...]:
        """Everyone who made one of the devices, in order."""
        return tuple(sorted({each.vendor for each in self}))

    def aliases(self, name: str) -> tuple[str, ...]:
        """The other names of a device, as they match (lower case)."""
        return self._others.get(name, ())

    @cached_property
    def _others(self) -> dict[str, tuple[str, ...]]:
        """Other names by device; what is read at start never changes."""
        others: dict[str, tuple[str, ...]] = {}
        for each in self._names:
            alias = self._names.get(each)
            if alias and each != alias.name:
                others[alias.name] = (*others.get(alias.name, ()), each)
        return others

    def _keep(self, path: Path) -> None:
        try:
            device = read_accelerator(path)
        except BrokenFileError as error:
            self.problems.append(error.broken)
        else:
            self._devices[device.name] = device

    def _name_devices(self) -> None:
        """Canonical names before labels, so that no label can take one."""
        for device in self:
            self._names.add(device.name, _Alias(device.name))
        for device in self:
            self._names.add(device.label, _Alias(device.name))

    def _read_aliases(self) -> None:
        path = self.folder / ALIASES
        if not path.exists():
            return
        try:
            content, text = read_object(path)
        except BrokenFileError as error:
            self.problems.append(error.broken)
            return
        for name, meant in content.items():
            variants = (meant,) if isinstance(meant, str) else tuple(meant)
            if not variants or any(each not in self._devices for each in variants):
                self.problems.append(wrong_field(path, text, name, "names no accelerator").broken)
            elif not self._names.add(name, _Alias(variants[0], variants if len(variants) > 1 else ())):
                self.problems.append(wrong_field(path, text, name, "is taken by another accelerator").broken)


def _without_maker(name: str) -> str:
    """`NVIDIA GeForce RTX 4090` and `AMD Instinct MI300X` are known without their first words."""
    words = name.replace("-", " ").replace("_", " ").split()
    while len(words) > 1 and words[0].casefold() in (*_VENDORS, *_BRANDS):
        words = words[1:]
    return " ".join(words)


def read_accelerator(path: Path) -> Accelerator:
    """One file of `configs/gpus`; raises `BrokenFileError` that names the file and the line."""
    content, text = read_object(path)
    check_fields(path, text, content, _KINDS)
    for name in _REQUIRED:
        if not content.get(name):
            raise BrokenFileError(BrokenFile(path, None, f"{name}: missing"))
    _check_values(path, text, content)
    return _accelerator(content)


def _check_values(path: Path, text: str, content: Mapping[str, Any]) -> None:
    rates = {**content.get("tflops", {}), **content.get("tflops_fp16_accumulate", {})}
    wrong = {
        "name": content["name"] != path.stem,
        "device_type": content["device_type"] not in DEVICE_TYPES,
        "verification": content["verification"] not in VERIFICATIONS,
        "cloud_price": not set(content.get("cloud_price", {})) <= set(CloudPrice.__struct_fields__),
        **{key: key not in TFLOPS_KEYS or not _is_rate(rate) for key, rate in rates.items()},
    }
    for name, is_wrong in wrong.items():
        if is_wrong:
            raise wrong_field(path, text, name, "unexpected value")


def _is_rate(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _accelerator(content: dict[str, Any]) -> Accelerator:
    checked_by = {key: tuple(tags) for key, tags in content.get("checked_by", {}).items()}
    price = content.get("cloud_price")
    return Accelerator(
        **content
        | {
            "checked_by": checked_by,
            "conflicts": tuple(content.get("conflicts", ())),
            "cloud_price": CloudPrice(**price) if price else None,
        }
    )


@cache
def gpus() -> GpuRegistry:
    """The registry of the service, read once a process."""
    return GpuRegistry()
