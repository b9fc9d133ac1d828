"""Quantizations by name, with the options their tools have."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from ..errors import InvalidRequest, Problem
from ..messages import Message
from .bitsandbytes import FourBit, LlmInt8
from .dtypes import data_type
from .formats import Format
from .gguf import MIXES, Gguf
from .microscaled import Mxfp4, Mxfp8, Nvfp4
from .others import Aqlm, Hqq, Quanto
from .packed import Awq, Gptq, PackQuantized
from .scaled import Scaled
from .scheme import Coverage, Plain, Rule, Ruled, Scheme, Textbook

Options = Mapping[str, Any]

# bitsandbytes swaps every linear module but the head, those of towers and routers too.
EVERY_LINEAR: Final = Coverage(towers=True, routers=True)


def option(options: Options, name: str, otherwise: int, allowed: range | tuple[int, ...]) -> int:
    """A whole number among those allowed; raises `InvalidRequest`."""
    value = options.get(name)
    if value is None:
        return otherwise
    if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
        shown = str(allowed) if isinstance(allowed, tuple) else f"{allowed.start}..{allowed.stop - 1}"
        message = Message("quantization_option", {"field": name, "value": repr(value)[:40], "allowed": shown})
        raise InvalidRequest(message, [Problem(name, message)])
    return value


GROUPS: Final = range(-1, 2**20)


def _gptq(o: Options) -> Format:
    bits = option(o, "bits", 4, (2, 3, 4, 8))
    return Gptq(bits, option(o, "group_size", 128, GROUPS))


def _awq(o: Options) -> Format:
    size = option(o, "group_size", 128, GROUPS)
    return Awq(option(o, "bits", 4, (4, 8)), size, bool(o.get("zero_point", True)))


def _int4(o: Options) -> Format:
    return PackQuantized(4, option(o, "group_size", 128, GROUPS), bool(o.get("symmetric", True)))


def _hqq(o: Options) -> Format:
    return Hqq(option(o, "bits", 4, (1, 2, 3, 4, 8)), option(o, "group_size", 64, GROUPS))


def _aqlm(o: Options) -> Format:
    return Aqlm(
        option(o, "in_group_size", 8, range(1, 1025)),
        option(o, "out_group_size", 1, range(1, 1025)),
        option(o, "num_codebooks", 1, range(1, 65)),
        option(o, "nbits_per_codebook", 16, range(1, 25)),
    )


def _quanto(o: Options) -> Format:
    bits = option(o, "bits", 8, (2, 4, 8))
    return Quanto(f"int{bits}")


# name: (bits that people say, how it is made, which parts it takes)
_NAMED: Final[Mapping[str, tuple[int, Callable[[Options], Format], Coverage]]] = {
    "gptq": (4, _gptq, Coverage()),
    "awq": (4, _awq, Coverage()),
    "int4": (4, _int4, Coverage()),
    "int8": (8, lambda o: Scaled("int8", (1, 0)), Coverage()),
    "w8a8": (8, lambda o: Scaled("int8", (1, 0)), Coverage()),
    "bnb-int8": (8, lambda o: LlmInt8(), EVERY_LINEAR),
    "nf4": (4, lambda o: FourBit("nf4"), EVERY_LINEAR),
    "nf4-double": (4, lambda o: FourBit("nf4", double=True), EVERY_LINEAR),
    "fp8": (8, lambda o: Scaled("fp8", (1, 0)), Coverage()),
    "fp8-block": (8, lambda o: Scaled("fp8", (128, 128), scale_name="weight_scale_inv"), Coverage()),
    "mxfp4": (4, lambda o: Mxfp4(), Coverage()),
    "mxfp8": (8, lambda o: Mxfp8(), Coverage()),
    "nvfp4": (4, lambda o: Nvfp4(), Coverage()),
    "hqq": (4, _hqq, EVERY_LINEAR),
    "aqlm": (2, _aqlm, Coverage()),
    "quanto": (8, _quanto, EVERY_LINEAR),
}

# The figures of `precision` that people quote: every parameter at that width, and nothing beside it.
TEXTBOOK: Final = ("int8", "int4")

NAMES: Final = ("none", *_NAMED, *MIXES)

ALIASES: Final = {"bnb-4bit": "nf4", "bnb-8bit": "bnb-int8", "llm-int8": "bnb-int8"}


def _key(name: str) -> str:
    return name.lower().translate(str.maketrans("", "", "-_. "))


_KEYS: Final = {_key(name): name for name in NAMES} | {_key(other): name for other, name in ALIASES.items()}


def canonical(name: str) -> str | None:
    """The quantization of that name however it is spelled, None where there is none.

    >>> canonical("Q4-K-M"), canonical("NF4_double")
    ('q4_k_m', 'nf4-double')
    """
    return _KEYS.get(_key(name))


def said_bits(name: str) -> float:
    """The bits a weight that people say a quantization has (its scales come on top)."""
    if name in _NAMED:
        return _NAMED[name][0]
    return MIXES[name].bits if name in MIXES else 16


def get(name: str, options: Options | None = None, wide: str = "bfloat16") -> Scheme:
    """The scheme of that name; `options` as its tool calls them (`bits`, `group_size`, ...).

    The option `experts` False leaves experts wide, whatever the tool: transformers 5 stacks them in bare
    parameters, and its bitsandbytes, HQQ and Quanto loaders swap linear modules only.
    `wide`: the data type of what it leaves alone. Raises `InvalidRequest` for an unknown name or option.
    """
    known = canonical(name)
    dtype = data_type(wide).name
    if known is None:
        message = Message("unknown_quantization", {"field": "quantization", "value": name[:40]})
        raise InvalidRequest(message, [Problem("quantization", message)])
    if known == "none":
        return Plain(dtype)
    if known in MIXES:
        return Gguf(dtype, known)
    _, make, coverage = _NAMED[known]
    if options and options.get("experts") is False:
        coverage = replace(coverage, experts=False)
    return Ruled(dtype, known, rules=(Rule(make(options or {})),), coverage=coverage)


def for_precision(name: str) -> Scheme:
    """What `precision` alone means: a data type for every parameter; integers are textbook figures."""
    dtype = data_type(name).name
    if dtype in TEXTBOOK:
        size = "1" if dtype == "int8" else "0.5"
        warning = Message("textbook_precision", {"precision": dtype, "bytes": size})
        return Textbook("bfloat16", dtype, (warning,), dtype)
    return Plain(dtype)
