"""Which block type llama.cpp's `llama-quantize` gives each tensor of a mix like Q4_K_M.

The choice is that of llama.cpp, `src/llama-quant.cpp`, `llama_tensor_get_type_impl` (categories, the
layers that get more bits, the exceptions for eight experts, for grouped queries and for 70B), restated as
tables by category. Sizes of published files depend on it tensor by tensor.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final

from msgspec import Struct

from .gguf_types import BLOCKS, IN_NO_MIX, bits_per_weight, fitting


class Category(Enum):
    """The broad kinds of tensors that the choice knows."""

    EMBEDDING = "token_embd"
    OUTPUT = "output"
    QUERY = "attn_q"
    KEY = "attn_k"
    VALUE = "attn_v"
    QKV = "attn_qkv"
    LATENT = "attn_kv_b"
    ATTENTION_OUT = "attn_output"
    GATE = "ffn_gate"
    UP = "ffn_up"
    DOWN = "ffn_down"
    OTHER = "other"


VALUES: Final = (Category.VALUE, Category.QKV, Category.LATENT)


class Mix(Struct, frozen=True):
    """A file type: the block type most tensors get. `imatrix`: made with an importance matrix."""

    name: str
    base: str

    @property
    def bits(self) -> float:
        """Bits of the most common block type."""
        return bits_per_weight(self.base)

    @property
    def imatrix(self) -> bool:
        """Whether llama-quantize refuses to make it without an importance matrix."""
        return self.name in ("iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "q2_k_s")


def _mixes() -> dict[str, Mix]:
    odd = {
        **dict.fromkeys(("q2_k_s",), "Q2_K"),
        **dict.fromkeys(("q3_k_s", "q3_k_m", "q3_k_l"), "Q3_K"),
        **dict.fromkeys(("q4_k_s", "q4_k_m"), "Q4_K"),
        **dict.fromkeys(("q5_k_s", "q5_k_m"), "Q5_K"),
        "iq2_s": "IQ2_XS",
        "iq2_m": "IQ2_S",
        "iq3_xs": "IQ3_S",
        "iq3_m": "IQ3_S",
        "mxfp4_moe": "MXFP4",
    }
    mixed_only = ("Q3_K", "Q4_K", "Q5_K", "Q8_K", "MXFP4", "NVFP4", *IN_NO_MIX)
    plain = {kind.lower(): kind for kind in BLOCKS if kind not in mixed_only}
    return {name: Mix(name, base) for name, base in sorted({**plain, **odd}.items())}


# File types by name: `q4_k_m`, `q8_0`, `iq4_xs`, ...
MIXES: Final[Mapping[str, Mix]] = _mixes()

_LOW: Final = ("iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq2_m")


class Facts(Struct, frozen=True):
    """What the choice asks of a model."""

    layers: int
    queries_per_key: int
    experts: int
    values: int  # tensors of the value categories
    tied: bool
    falcon: bool = False
    seventy: bool = False  # 80 layers with grouped queries


class Place(Struct, frozen=True):
    """A tensor: its category, its layer, how many of its category came before it, and its row length."""

    category: Category
    layer: int
    nth: int
    columns: int
    stacked: bool = False


def more_bits(layer: int, layers: int) -> bool:
    """The first and last eighth of the layers, and every third between."""
    first, last = layers // 8, 7 * layers // 8
    return layer < first or layer >= last or (layer - first) % 3 == 2


def choose(mix: Mix, model: Facts, place: Place) -> str:
    """The block type of a matrix, after the fallback for row lengths that do not fit."""
    if mix.base in ("F32", "F16", "BF16"):
        return mix.base
    return fitting(_wanted(mix, model, place), place.columns)


def _wanted(mix: Mix, model: Facts, place: Place) -> str:
    category = place.category
    if category is Category.OUTPUT or (category is Category.EMBEDDING and model.tied):
        return _output(mix, model, place)
    if mix.name == "mxfp4_moe":
        return "MXFP4" if place.stacked else "Q8_0"
    if category is Category.EMBEDDING:
        return _EMBEDDING.get(mix.name, mix.base)
    if mix.name in _LOW:
        return _low(mix, model, place)
    if category in VALUES:
        return _value(mix, model, place)
    return _inner(mix, model, place)


def _inner(mix: Mix, model: Facts, place: Place) -> str:
    """Queries, keys, outputs and feed-forward matrices of mixes from three bits up."""
    match place.category:
        case Category.KEY if model.experts == 8:
            return "Q8_0"
        case Category.KEY | Category.QUERY:
            return {"iq3_xs": "IQ3_XXS", "iq3_xxs": "IQ2_S"}.get(mix.name, mix.base)
        case Category.ATTENTION_OUT:
            return _attention_out(mix, model)
        case Category.DOWN:
            return _down(mix, model, place)
        case Category.GATE | Category.UP:
            inside = model.layers // 8 <= place.layer < 7 * model.layers // 8
            return "IQ3_XXS" if mix.name == "iq3_xs" and inside else mix.base
    return mix.base


_EMBEDDING: Final = {
    **dict.fromkeys(("iq2_xxs", "iq2_xs", "iq1_s", "iq1_m"), "Q2_K"),
    **dict.fromkeys(("iq2_s", "iq2_m", "iq3_xxs"), "IQ3_S"),
    **dict.fromkeys(("tq1_0", "tq2_0"), "Q4_K"),
}


def _output(mix: Mix, model: Facts, place: Place) -> str:
    if mix.name == "mxfp4_moe" or model.falcon or place.columns % BLOCKS[mix.base][0] or mix.base == "Q8_0":
        return "Q8_0"
    return "Q5_K" if mix.name in (*_LOW[:5], "iq2_m", "iq3_xxs") else "Q6_K"


def _low(mix: Mix, model: Facts, place: Place) -> str:
    """Mixes below three bits."""
    finer = "IQ3_S" if mix.name in ("iq2_s", "iq2_m") else "Q2_K"
    if place.category in VALUES:
        return "Q4_K" if model.queries_per_key >= 4 or model.experts >= 4 else finer
    if place.category is Category.KEY and model.experts == 8:
        return "Q4_K"
    if place.category is Category.DOWN and place.nth < model.layers // 8:
        return finer
    if place.category is Category.ATTENTION_OUT:
        if model.experts == 8:
            return "Q5_K"
        return {"iq1_s": "IQ2_XXS", "iq1_m": "IQ2_XXS", "iq2_s": "IQ3_S", "iq2_m": "IQ3_S"}.get(
            mix.name, mix.base
        )
    return mix.base


def _value(mix: Mix, model: Facts, place: Place) -> str:
    if model.experts == 8:
        return "Q8_0"
    kind = _value_by_mix(mix, model.queries_per_key >= 4, place.nth, model.values)
    if kind is None:
        kind = mix.base
    return "Q5_K" if model.seventy and kind in ("Q3_K", "Q4_K") else kind


def _value_by_mix(mix: Mix, grouped: bool, nth: int, count: int) -> str | None:
    match mix.name:
        case "q2_k":
            return "Q4_K" if grouped else "Q3_K"
        case "iq3_xxs":
            return "Q4_K" if grouped else "IQ3_XXS"
        case "q2_k_s" | "iq3_xs" | "iq3_s":
            return "Q4_K" if grouped else None
        case "iq4_nl" | "iq4_xs":
            return "Q5_K" if grouped else None
        case "iq3_m":
            return "Q4_K"
        case "q3_k_m":
            return "Q5_K" if nth < 2 else "Q4_K"
        case "q3_k_l":
            return "Q5_K"
        case "q4_k_m" | "q5_k_m":
            return "Q6_K" if more_bits(nth, count) else None
        case "q4_k_s":
            return "Q5_K" if nth < 4 else None
    return None


_OUT_OF_EIGHT: Final = (
    *(
        "q2_k",
        "iq3_xs",
        "iq3_xxs",
        "q3_k_s",
        "q3_k_m",
        "iq4_nl",
        "q4_k_s",
        "q4_k_m",
        "iq3_s",
        "iq3_m",
        "iq4_xs",
    ),
)


def _attention_out(mix: Mix, model: Facts) -> str:
    if model.falcon:
        return "Q4_K" if mix.name == "q3_k_l" else mix.base
    if model.experts == 8:
        return "Q5_K" if mix.name in _OUT_OF_EIGHT else mix.base
    chosen = {"q2_k": "Q3_K", "iq3_xxs": "IQ3_S", "q3_k_m": "Q4_K", "q3_k_l": "Q5_K", "iq3_m": "Q4_K"}
    return chosen.get(mix.name, mix.base)


def _down(mix: Mix, model: Facts, place: Place) -> str:
    layer = place.layer if model.experts > 1 else place.nth
    early, more = layer < model.layers // 8, more_bits(layer, model.layers)
    if model.falcon and mix.name in ("q3_k_m", "q3_k_l", "q4_k_m", "q4_k_s"):
        return _falcon_down(mix, layer, model.layers, more)
    match mix.name:
        case "q2_k":
            return "Q3_K"
        case "q3_k_m":
            return "Q5_K" if layer < model.layers // 16 else "Q4_K"
        case "q3_k_l":
            return "Q5_K"
        case "q4_k_m" | "q5_k_m" if more:
            return "Q6_K"
        case "q4_k_s" if early:
            return "Q5_K"
        case "q2_k_s" if early:
            return "Q4_K"
        case "iq3_m" if early or (model.experts == 8 and more):
            return "Q4_K"
        case "iq4_nl" | "iq4_xs" if early:
            # Without an importance matrix, as most published files of these are made.
            return "Q5_K"
    return mix.base


def _falcon_down(mix: Mix, layer: int, layers: int, more: bool) -> str:
    first = layer < layers // 16
    match mix.name:
        case "q3_k_m":
            return "Q5_K" if first else "Q4_K" if more else "Q3_K"
        case "q4_k_m":
            return "Q6_K" if first else "Q5_K" if more else "Q4_K"
        case "q3_k_l":
            return "Q4_K"
    return mix.base
