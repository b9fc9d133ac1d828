"""The quantization that a checkpoint declares in its own `quantization_config`, as a scheme.

Field names and their defaults are those of the tools' own configuration classes (transformers
`utils/quantization_config.py`, compressed-tensors, ModelOpt, GPTQModel, AutoRound, torchao). A method, or
an algorithm of one, that is not covered is an error that names it, never a silent 16-bit.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from .bitsandbytes import FourBit, LlmInt8
from .compressed import compressed_tensors
from .fields import Fields, not_covered
from .formats import Format
from .gguf import MIXES, Gguf
from .gguf_own import own_types
from .microscaled import Mxfp4, Nvfp4
from .modelopt import modelopt
from .others import Aqlm, BitNet, Hqq, Quanto
from .packed import Awq, Gptq
from .patterns import Patterns
from .scaled import Scaled
from .scheme import Coverage, Rule, Ruled, Scheme
from .schemes import EVERY_LINEAR

__all__ = ["declared", "from_config"]

LINEARS: Final = Coverage(towers=True)
HEADED: Final = Coverage(towers=True, head=True)
BLOCKS: Final = Coverage()
EXPERTS: Final = Patterns.of(["*.experts.*"])


def declared(config: Mapping[str, Any], wide: str = "bfloat16") -> Scheme | None:
    """The scheme of a whole `config.json`; None where it declares none.

    Raises `UnknownArchitecture` (not covered), `InvalidRequest` (impossible values).
    """
    for holder in (
        config,
        config.get("text_config"),
        config.get("llm_config"),
        config.get("language_config"),
    ):
        if isinstance(holder, Mapping):
            for name in ("quantization_config", "compression_config"):
                if isinstance(holder.get(name), Mapping) and holder[name]:
                    return from_config(holder[name], wide, config)
    return None


def from_config(
    quantization: Mapping[str, Any], wide: str = "bfloat16", config: Mapping[str, Any] | None = None
) -> Scheme | None:
    """The scheme of a `quantization_config`; `config` is the file around it, where known."""
    fields = Fields(quantization, config or {}, wide)
    method = method_of(fields)
    if method in ("", "none"):
        return None
    read = _METHODS.get(method)
    if read is None:
        raise not_covered(method, "its tensors are not described here")
    scheme = read(fields)
    return dataclasses.replace(scheme, warnings=(*scheme.warnings, *fields.warnings))


def method_of(fields: Fields) -> str:
    """The method's canonical name, told by its fields where it is not named."""
    stated = fields.text("quant_method").lower().replace("_", "-")
    if stated:
        return stated
    if fields.flag("load_in_8bit") or fields.flag("load_in_4bit"):
        return "bitsandbytes"
    if "quant_algo" in fields.data or isinstance(fields.data.get("quantization"), Mapping):
        return "modelopt"
    if "config_groups" in fields.data:
        return "compressed-tensors"
    raise not_covered("?", "quant_method is missing")


def _gptq(f: Fields) -> Ruled:
    layout = Gptq(f.whole("bits", 4, (2, 3, 4, 5, 6, 7, 8)), f.group("group_size", 128))
    return _adjusted(f, "gptq", layout)


def _adjusted(f: Fields, name: str, layout: Gptq) -> Ruled:
    """GPTQModel's `dynamic`: patterns that leave modules out (`-:`) or give them other bits (`+:`)."""
    skipped, rules = [], []
    for key, changes in f.mapping("dynamic").items():
        pattern = "re:" + str(key).removeprefix("+:").removeprefix("-:")
        if str(key).startswith("-:"):
            skipped.append(pattern)
        elif isinstance(changes, Mapping):
            own = f.within(changes)
            other = replace(
                layout,
                bits=own.whole("bits", layout.bits, (2, 3, 4, 8)),
                group_size=own.group("group_size", layout.group_size),
            )
            rules.append(Rule(other, Patterns.of([pattern])))
    inside = [name for names in f.items("modules_in_block_to_quantize") for name in f.flat(names)]
    rules.append(Rule(layout, Patterns.of(inside) if inside else None))
    coverage = replace(BLOCKS, head=f.flag("lm_head"))
    return Ruled(f.wide, name, rules=tuple(rules), coverage=coverage, ignored=Patterns.of(skipped))


def _awq(f: Fields) -> Ruled:
    bits = f.whole("bits", f.whole("w_bit", 4, (4, 8)), (4, 8))
    size = f.group("group_size", f.group("q_group_size", 128))
    layout = Awq(bits, size, f.flag("zero_point", True))
    return Ruled(
        f.wide, "awq", rules=(Rule(layout),), coverage=BLOCKS, ignored=f.skipped("modules_to_not_convert")
    )


def _auto_round(f: Fields) -> Ruled:
    packing = f.text("packing_format") or f.text("backend")
    bits, size = f.whole("bits", 4, (2, 3, 4, 8)), f.group("group_size", 128)
    layout = Awq(bits, size) if "awq" in packing else Gptq(bits, size, g_idx=False)
    wide = [name for name, own in f.mapping("extra_config").items()
            if isinstance(own, Mapping) and own.get("bits") in (16, 32)]  # fmt: skip
    return Ruled(f.wide, "auto-round", rules=(Rule(layout),), coverage=BLOCKS, ignored=Patterns.of(wide))


def _bitsandbytes(f: Fields) -> Ruled:
    ignored = f.skipped("llm_int8_skip_modules")
    if f.flag("load_in_8bit"):
        return Ruled(f.wide, "bnb-int8", rules=(Rule(LlmInt8()),), coverage=EVERY_LINEAR, ignored=ignored)
    double = f.flag("bnb_4bit_use_double_quant")
    layout = FourBit(f.text("bnb_4bit_quant_type") or "fp4", double)
    name = "nf4-double" if double else "nf4"
    return Ruled(f.wide, name, rules=(Rule(layout),), coverage=EVERY_LINEAR, ignored=ignored)


def _fp8(f: Fields) -> Ruled:
    """`fp8` of transformers and AutoFP8: blocks where `weight_block_size` is set, else one scale a matrix."""
    block = f.pair("weight_block_size")
    ignored = f.skipped("modules_to_not_convert", "ignored_layers", "ignore", "exclude_modules")
    static = f.text("activation_scheme") == "static"
    layout = Scaled(
        "fp8",
        block or (0, 0),
        _scale_dtype(f),
        "weight_scale_inv" if block or "weight_block_size" in f.data else "weight_scale",
        static_input=static,
    )
    rules = [Rule(layout)]
    if f.text("moe_quant_algo").upper() == "NVFP4":
        rules.insert(0, Rule(Nvfp4(), EXPERTS))
    elif f.model_text("expert_dtype") in ("fp4", "mxfp4"):
        rules.insert(0, Rule(Mxfp4(), EXPERTS))
    return Ruled(
        f.wide, "fp8-block" if block else "fp8", rules=tuple(rules), coverage=LINEARS, ignored=ignored
    )


def _scale_dtype(f: Fields) -> str | None:
    """Float32, but exponents in DeepSeek V4's checkpoints and the model's own data type in Qwen's."""
    if f.text("scale_fmt") == "ue8m0" and f.model_type.startswith("deepseek_v4"):
        return "e8m0"
    return None if f.model_type.startswith("qwen") else "float32"


def _fbgemm(f: Fields) -> Ruled:
    return Ruled(f.wide, "fp8", rules=(Rule(Scaled("fp8", (1, 0))),), coverage=LINEARS,
                 ignored=f.skipped("modules_to_not_convert"))  # fmt: skip


def _mxfp4(f: Fields) -> Ruled:
    """Stacked experts only: the modules that transformers' `replace_with_mxfp4_linear` swaps."""
    coverage = Coverage(linears=False)
    return Ruled(f.wide, "mxfp4", rules=(Rule(Mxfp4(fused=True)),), coverage=coverage)


def _hqq(f: Fields) -> Ruled:
    own = f.within(f.within(f.mapping("quant_config")).mapping("weight_quant_params"))
    layout = Hqq(own.whole("nbits", 4, (1, 2, 3, 4, 8)), own.group("group_size", 64))
    skipped = f.skipped("skip_modules")
    return Ruled(f.wide, "hqq", rules=(Rule(layout),), coverage=EVERY_LINEAR, ignored=skipped)


def _quanto(f: Fields) -> Ruled:
    weights = f.text("weights") or "int8"
    if weights not in ("int8", "int4", "int2", "float8"):
        raise not_covered(f"quanto {weights}", "its layout is not described here")
    layout = Quanto("fp8" if weights == "float8" else weights)
    return Ruled(f.wide, "quanto", rules=(Rule(layout),), coverage=EVERY_LINEAR,
                 ignored=f.skipped("modules_to_not_convert"))  # fmt: skip


def _aqlm(f: Fields) -> Ruled:
    layout = Aqlm(
        f.whole("in_group_size", 8, range(1, 1025)),
        f.whole("out_group_size", 1, range(1, 1025)),
        f.whole("num_codebooks", 1, range(1, 65)),
        f.whole("nbits_per_codebook", 16, range(1, 25)),
    )
    return Ruled(f.wide, "aqlm", rules=(Rule(layout),), coverage=HEADED,
                 ignored=f.skipped("linear_weights_not_to_quantize"))  # fmt: skip


def _eetq(f: Fields) -> Ruled:
    layout = Scaled("int8", (1, 0), "float16", "weight_scales")
    return Ruled(f.wide, "int8", rules=(Rule(layout),), coverage=EVERY_LINEAR,
                 ignored=f.skipped("modules_to_not_convert"))  # fmt: skip


def _bitnet(f: Fields) -> Ruled:
    return Ruled(f.wide, "bitnet", rules=(Rule(BitNet()),), coverage=EVERY_LINEAR,
                 ignored=f.skipped("modules_to_not_convert"))  # fmt: skip


def _torchao(f: Fields) -> Ruled:
    """torchao's weight classes that keep their bytes in a known layout (torchao `quant_api.py`)."""
    kind = f.data.get("quant_type")
    own: Mapping[str, Any] = {}
    if isinstance(kind, Mapping):
        entry = kind.get("default", kind)
        own = entry.get("_data", {}) if isinstance(entry, Mapping) else {}
        kind = entry.get("_type", "") if isinstance(entry, Mapping) else ""
    name = str(kind).lower().replace("_", "").removesuffix("config")
    size = f.within(own if isinstance(own, Mapping) else {}).group("group_size", 128)
    layouts: dict[str, Format] = {
        "int4weightonly": Hqq(4, size),
        "int8weightonly": Scaled("int8", (1, 0), None),
        "int8dynamicactivationint8weight": Scaled("int8", (1, 0), None),
        "float8weightonly": Scaled("fp8", (1, 0), "float32"),
        "float8dynamicactivationfloat8weight": Scaled("fp8", (1, 0), "float32"),
    }
    if name not in layouts:
        raise not_covered(f"torchao {str(kind)[:60]}", "its layout is not described here")
    f.assume("quant_type", name)
    return Ruled(f.wide, "torchao", rules=(Rule(layouts[name]),), coverage=LINEARS,
                 ignored=f.skipped("modules_to_not_convert"))  # fmt: skip


def _gguf(f: Fields) -> Gguf:
    """A GGUF file that was read: the block types of its tensors, else the mix that it says it is."""
    name = f.text("file_type")
    own = own_types(f.mapping("tensor_types"))
    if own is None and name not in MIXES:
        raise not_covered(f"gguf {name[:40]}", "its mix is not described here")
    return Gguf(f.wide, name or "gguf", own=own)


_METHODS: Final[Mapping[str, Callable[[Fields], Ruled | Gguf]]] = {
    "gptq": _gptq,
    "gptq-marlin": _gptq,
    "awq": _awq,
    "awq-marlin": _awq,
    "auto-round": _auto_round,
    "auto-gptq": _gptq,
    "intel/auto-round": _auto_round,
    "bitsandbytes": _bitsandbytes,
    "compressed-tensors": compressed_tensors,
    "fp8": _fp8,
    "fbgemm-fp8": _fbgemm,
    "modelopt": modelopt,
    "modelopt-fp4": modelopt,
    "modelopt-fp8": modelopt,
    "mxfp4": _mxfp4,
    "hqq": _hqq,
    "quanto": _quanto,
    "aqlm": _aqlm,
    "eetq": _eetq,
    "bitnet": _bitnet,
    "torchao": _torchao,
    "gguf": _gguf,
}
