"""The block types of GGUF files: elements of a block and its bytes.

Source: llama.cpp `ggml-common.h` (block structures) and its Python package's `GGML_QUANT_SIZES`.
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
}

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
