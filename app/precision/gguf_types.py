"""The block types of GGUF files: elements of a block and its bytes, and the numbers that files give them.

Sources: llama.cpp `ggml-common.h` (block structures), `ggml.h` (`ggml_type`), `llama.h` (`llama_ftype`) and
its Python package's `GGML_QUANT_SIZES`.
"""

from typing import Final

from ..units import ceil_div

# type: (elements, bytes)
BLOCKS: Final[dict[str, tuple[int, int]]] = {
    "F32": (1, 4),
    "F16": (1, 2),
    "BF16": (1, 2),
    "Q4_0": (32, 18),
    "Q4_1": (32, 20),
    "Q5_0": (32, 22),
    "Q5_1": (32, 24),
    "Q8_0": (32, 34),
    "Q2_K": (256, 84),
    "Q3_K": (256, 110),
    "Q4_K": (256, 144),
    "Q5_K": (256, 176),
    "Q6_K": (256, 210),
    "Q8_K": (256, 292),
    "IQ1_S": (256, 50),
    "IQ1_M": (256, 56),
    "IQ2_XXS": (256, 66),
    "IQ2_XS": (256, 74),
    "IQ2_S": (256, 82),
    "IQ3_XXS": (256, 98),
    "IQ3_S": (256, 110),
    "IQ4_NL": (32, 18),
    "IQ4_XS": (256, 136),
    "TQ1_0": (256, 54),
    "TQ2_0": (256, 66),
    "MXFP4": (32, 17),
    "NVFP4": (64, 36),
    "Q8_1": (32, 40),
    "Q1_0": (128, 18),
    "I8": (1, 1),
    "I16": (1, 2),
    "I32": (1, 4),
    "I64": (1, 8),
    "F64": (1, 8),
}

# What files may hold beside weights that a mix of `llama-quantize` gives: indices, steps between, newer ones.
IN_NO_MIX: Final = ("Q8_1", "Q1_0", "I8", "I16", "I32", "I64", "F64")

# `ggml_type`: the number that a tensor's type has in a file.
TYPE_NUMBERS: Final[dict[int, str]] = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1",
    10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K",
    16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S",
    23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 30: "BF16",
    34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4", 41: "Q1_0",
}  # fmt: skip

# `llama_ftype`: the number of the mix that a file says it is, in `general.file_type`.
FILE_TYPE_NUMBERS: Final[dict[int, str]] = {
    0: "f32", 1: "f16", 2: "q4_0", 3: "q4_1", 7: "q8_0", 8: "q5_0", 9: "q5_1",
    10: "q2_k", 11: "q3_k_s", 12: "q3_k_m", 13: "q3_k_l", 14: "q4_k_s", 15: "q4_k_m", 16: "q5_k_s",
    17: "q5_k_m", 18: "q6_k", 19: "iq2_xxs", 20: "iq2_xs", 21: "q2_k_s", 22: "iq3_xs", 23: "iq3_xxs",
    24: "iq1_s", 25: "iq4_nl", 26: "iq3_s", 27: "iq3_m", 28: "iq2_s", 29: "iq2_m", 30: "iq4_xs",
    31: "iq1_m", 32: "bf16", 36: "tq1_0", 37: "tq2_0", 38: "mxfp4_moe", 39: "nvfp4", 40: "q1_0",
}  # fmt: skip

# What a row takes instead whose length is no multiple of the block.
FALLBACKS: Final = {
    **dict.fromkeys(("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_XS"), "IQ4_NL"),
    **dict.fromkeys(("Q2_K", "Q3_K", "TQ1_0", "TQ2_0"), "Q4_0"),
    "Q4_K": "Q5_0",
    "Q5_K": "Q5_1",
    "Q6_K": "Q8_0",
}


def fitting(kind: str, columns: int) -> str:
    """The type itself, or its stand-in for rows of this length (llama-quant.cpp `tensor_type_fallback`)."""
    if columns % BLOCKS[kind][0] == 0:
        return kind
    other = FALLBACKS.get(kind, "F16")
    return other if columns % BLOCKS[other][0] == 0 else "F16"


def row_bytes(kind: str, columns: int) -> int:
    """Bytes of one row."""
    elements, size = BLOCKS[kind]
    return ceil_div(columns, elements) * size


def bits_per_weight(kind: str) -> float:
    """Bits an element, scales included."""
    elements, size = BLOCKS[kind]
    return 8 * size / elements
