"""Accelerators by name or by their figures, for people who compute with them."""

from collections.abc import Mapping
from html import escape
from typing import Any

from msgspec.structs import asdict

from ..errors import UnknownName
from ..hardware import OVERRIDES, Accelerator
from ..messages import Message
from ..registry.gpus import gpus


class Device(Accelerator, frozen=True):
    """An accelerator, with the one figure that people ask for first."""

    @property
    def compute_capability_tflops(self) -> float | None:
        """Dense peak of 16-bit matrix products [10^12 operations/s]: bfloat16, else float16; None if unknown.

        Never the doubled rate that data sheets give for structured sparsity.
        """
        return self.tflops.get("bf16", self.tflops.get("fp16"))

    def request(self) -> dict[str, Any]:
        """The `gpu` object of a request: every figure of this device."""
        figures = {name: getattr(self, name) for name in OVERRIDES if getattr(self, name) is not None}
        figures["tflops"] = dict(self.tflops)
        return figures if self.name == "custom" else {"name": self.name, **figures}

    def _repr_html_(self) -> str:
        figures = asdict(self)
        figures["compute_capability_tflops"] = self.compute_capability_tflops
        known = [(name, value) for name, value in figures.items() if isinstance(value, str | int | float)]
        rows = "".join(f"<tr><th>{name}</th><td>{escape(str(value))}</td></tr>" for name, value in known)
        return f"<table>{rows}</table>"


def create_accelerator(name: str | None = None, **figures: Any) -> Device:
    """An accelerator of the registry by name or alias, or one of your own by its figures.

    `figures` go over those of the registry; without a name `memory_gb` [2^30 bytes] is needed. Units are
    those of the names: `memory_bandwidth_gb_s` [10^9 bytes/s], `tflops` by data type [10^12/s],
    `tdp_w` [W], `price_per_hour` [USD]. Raises `UnknownName` with the closest names, `InvalidRequest` for
    wrong figures.

    >>> create_accelerator("rtx-4090").memory_bandwidth_gb_s
    1008.0
    >>> create_accelerator(memory_gb=80, tflops={"bf16": 500}).compute_capability_tflops
    500
    """
    if name is None and not figures:
        raise UnknownName(Message("accelerator_needs_name"))
    form: Mapping[str, Any] = figures if name is None else {"name": name, **figures}
    found = gpus().resolve(form).accelerator
    return Device(**asdict(found))
