"""compressed-tensors: groups of modules, each with its number format and strategy of scales."""

from typing import Any, Final

from .fields import Fields, not_covered
from .formats import Format
from .microscaled import Mxfp4, Mxfp8, Nvfp4
from .packed import PackQuantized
from .patterns import Patterns
from .scaled import Scaled
from .scheme import Coverage, Rule, Ruled

# `Linear` means every linear module, the head and those of towers as well, unless `ignore` names them.
LINEARS: Final = Coverage(towers=True, head=True)


def compressed_tensors(f: Fields) -> Ruled:
    """The scheme of `config_groups` and `ignore`; sparse checkpoints are not covered."""
    sparsity = f.within(f.mapping("sparsity_config")).text("format")
    if sparsity not in ("", "dense"):
        raise not_covered(f"compressed-tensors {sparsity}", "sparse weights are not described here")
    rules, names = [], []
    for group in f.mapping("config_groups").values():
        own = f.within(group if isinstance(group, dict) else {})
        if not own.mapping("weights"):
            continue
        layout = _format(own, own.text("format") or f.text("format"))
        targets = Patterns.of(own.items("targets"))
        rules.append(Rule(layout, None if targets.all_linear or own.data.get("targets") is None else targets))
        names.append(_name(layout))
    if not rules:
        raise not_covered("compressed-tensors", "no group of config_groups has weights")
    if "ignore" not in f.data:
        f.assume("ignore", "[]")
    return Ruled(f.wide, names[0], rules=tuple(rules), coverage=LINEARS, ignored=f.skipped("ignore"))


def _name(layout: Format) -> str:
    match layout:
        case Scaled(dtype="int8"):
            return "w8a8" if layout.block == (1, 0) else "int8"
        case Scaled():
            return "fp8-block" if all(layout.block) else "fp8"
        case Nvfp4():
            return "nvfp4"
        case Mxfp4():
            return "mxfp4"
        case PackQuantized(bits=8):
            return "int8"
        case PackQuantized():
            return "int4"
    return "compressed-tensors"


def _format(own: Fields, packing: str) -> Format:
    weights = own.within(own.mapping("weights"))
    bits, kind = weights.whole("num_bits", 8, range(2, 17)), weights.text("type") or "int"
    size = weights.group("group_size", 0)
    symmetric, static = weights.flag("symmetric", True), _static(own.mapping("input_activations"))
    match packing, kind, bits:
        case ("nvfp4-pack-quantized", _, _) | (_, "float", 4) if (
            packing != "mxfp4-pack-quantized" and size != 32
        ):
            return Nvfp4(size or 16, modelopt=False, static_input=bool(own.mapping("input_activations")))
        case _, "float", 4:
            return Mxfp4()
        case "mxfp8-quantized" | "mxfp8-pack-quantized", _, _:
            return Mxfp8()
        case "pack-quantized", "int", _ if bits <= 8:
            return PackQuantized(
                bits, size, symmetric, weights.text("actorder") not in ("", "weight", "static")
            )
        case _, "float" | "int", _ if bits <= 8 and packing != "marlin-24":
            dtype = "fp8" if kind == "float" else "int8"
            return Scaled(dtype, _block(weights, size), None, symmetric=symmetric, static_input=static)
    raise not_covered(f"compressed-tensors {packing} {kind}{bits}", "its layout is not described here")


def _static(activations: Any) -> bool:
    return bool(activations) and activations.get("dynamic") is False


def _block(weights: Fields, size: int) -> tuple[int, int]:
    match weights.text("strategy"):
        case "tensor":
            return (0, 0)
        case "block":
            return weights.pair("block_structure") or (128, 128)
        case "group" | "tensor_group":
            return (1, size)
    return (1, 0)
