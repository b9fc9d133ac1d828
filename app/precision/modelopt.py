"""ModelOpt (NVIDIA TensorRT Model Optimizer): one algorithm for all modules, or one for each."""

from collections.abc import Mapping
from typing import Any, Final

from ..messages import Message
from .fields import Fields, not_covered
from .formats import Format
from .microscaled import Mxfp8, Nvfp4
from .packed import Awq
from .patterns import Patterns
from .scaled import Scaled
from .scheme import Coverage, Rule, Ruled

LINEARS: Final = Coverage(head=True)
# Without a list of exceptions: what ModelOpt's own recipes leave alone.
USUAL: Final = Patterns.of(["lm_head", "*.router", "*.gate", "*linear_attn.conv1d*"])


def modelopt(f: Fields) -> Ruled:
    """The scheme of `quant_algo`, `exclude_modules` or `ignore`, and `quantized_layers`."""
    if nested := f.mapping("quantization"):
        f = f.within({**nested, "quant_method": "modelopt"})
    algorithm = f.text("quant_algo").upper()
    names = ("exclude_modules", "ignore", "modules_to_not_convert")
    ignored = f.skipped(*names)
    if algorithm == "MIXED_PRECISION":
        return _mixed(f, ignored)
    if not any(name in f.data for name in names):
        f.warnings.append(Message("quantization_list_missing", {"method": f"ModelOpt {algorithm}"}))
        ignored = USUAL
    layout = _layout(algorithm or _from_groups(f), f.group("group_size", 0))
    return Ruled(
        f.wide, _NAMES.get(type(layout), "fp8"), rules=(Rule(layout),), coverage=LINEARS, ignored=ignored
    )


_NAMES: Final[Mapping[type, str]] = {Nvfp4: "nvfp4", Mxfp8: "mxfp8", Awq: "awq", Scaled: "fp8"}


def _mixed(f: Fields, ignored: Patterns) -> Ruled:
    by_layout: dict[Format, list[str]] = {}
    for name, own in f.mapping("quantized_layers").items():
        inner = f.within(own if isinstance(own, Mapping) else {})
        layout = _layout(inner.text("quant_algo").upper(), inner.group("group_size", 0))
        by_layout.setdefault(layout, []).append(str(name))
    if not by_layout:
        raise not_covered("ModelOpt MIXED_PRECISION", "quantized_layers is missing")
    rules = tuple(Rule(layout, Patterns.of(names)) for layout, names in by_layout.items())
    return Ruled(f.wide, "nvfp4", rules=rules, coverage=LINEARS, ignored=ignored)


def _from_groups(f: Fields) -> str:
    groups: list[Any] = list(f.mapping("config_groups").values())
    weights = f.within(groups[0] if groups and isinstance(groups[0], Mapping) else {}).mapping("weights")
    return {4: "NVFP4", 8: "FP8"}.get(weights.get("num_bits", 0), "")


def _layout(algorithm: str, size: int) -> Format:
    match algorithm:
        case "FP8":
            return Scaled("fp8", (0, 0), "float32", static_input=True)
        case "FP8_PER_CHANNEL_PER_TOKEN":
            return Scaled("fp8", (1, 0), "float32")
        case "FP8_PB_WO" | "FP8_PB_REAL":
            return Scaled("fp8", (128, 128), "float32")
        case "NVFP4" | "NVFP4_AWQ":
            return Nvfp4(size or 16)
        case "W4A16_NVFP4":
            return Nvfp4(size or 16, static_input=False)
        case "MXFP8":
            return Mxfp8()
        case "W4A16_AWQ" | "W4A8_AWQ":
            return Awq(4, size or 128)
    raise not_covered(f"ModelOpt {algorithm or '?'}", "its layout is not described here")
