"""Writes small GGUF files, and wrong ones as gladly."""

import struct
from dataclasses import dataclass
from math import prod
from typing import Any

from app.precision.gguf_types import BLOCKS, TYPE_NUMBERS

NUMBERS = {name: number for number, name in TYPE_NUMBERS.items()}
LAYOUTS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
UINT32, FLOAT32, BOOL, STRING, ARRAY, UINT64 = 4, 6, 7, 8, 9, 10


@dataclass(frozen=True)
class Typed:
    """A value of a type that is not told by its Python type; an array's elements are of `element`."""

    kind: int
    value: Any
    element: int = UINT32


def string(text: str | bytes) -> bytes:
    content = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(content)) + content


def typed(value: Any) -> Typed:
    if isinstance(value, Typed):
        return value
    if isinstance(value, list):
        return Typed(ARRAY, value, typed(value[0]).kind if value else UINT32)
    kinds = {bool: BOOL, int: UINT32, float: FLOAT32, str: STRING, bytes: STRING}
    return Typed(kinds[type(value)], value)


def plain(kind: int, value: Any, element: int = UINT32) -> bytes:
    """A value without its type."""
    if kind == STRING:
        return string(value)
    if kind == ARRAY:
        inside = [typed(each) for each in value]
        return struct.pack("<IQ", element, len(value)) + b"".join(
            plain(element, each.value, each.element) for each in inside
        )
    return struct.pack("<" + LAYOUTS[kind], value)


def pair(key: str, value: Any) -> bytes:
    found = typed(value)
    return string(key) + struct.pack("<I", found.kind) + plain(found.kind, found.value, found.element)


def info(name: str, kind: int, sizes: list[int], offset: int) -> bytes:
    layout = struct.pack(f"<I{len(sizes)}Q", len(sizes), *sizes)
    return string(name) + layout + struct.pack("<IQ", kind, offset)


def size_of(kind: str, shape: list[int]) -> int:
    elements, size = BLOCKS[kind]
    return prod(shape) // elements * size


def gguf(
    metadata: dict[str, Any],
    tensors: dict[str, tuple[str, list[int]]],
    *,
    version: int = 3,
    data: bool = True,
    counts: tuple[int, int] | None = None,
) -> bytes:
    """A file: `tensors` by name with type and shape (the row's length last), all zeros."""
    alignment = metadata.get("general.alignment", 32)
    infos, offset = b"", 0
    for name, (kind, shape) in tensors.items():
        infos += info(name, NUMBERS[kind], shape[::-1], offset)
        offset += -(-size_of(kind, shape) // alignment) * alignment
    pairs = b"".join(pair(key, value) for key, value in metadata.items())
    head = b"GGUF" + struct.pack("<IQQ", version, *(counts or (len(tensors), len(metadata)))) + pairs + infos
    padding = -len(head) % alignment if tensors else 0
    return head + b"\0" * padding + (b"\0" * offset if data else b"")


def llama(
    *,
    layers: int = 2,
    hidden: int = 256,
    inner: int = 512,
    heads: int = 4,
    kv_heads: int = 2,
    vocabulary: int = 32,
    kinds: dict[str, str] | None = None,
    tied: bool = False,
    architecture: str = "llama",
) -> tuple[dict[str, Any], dict[str, tuple[str, list[int]]]]:
    """Metadata and tensors of a small Llama; `kinds` gives tensors (by part of the name) their types."""
    a, width = architecture, hidden // heads
    metadata: dict[str, Any] = {
        "general.architecture": a,
        "general.name": "Tiny",
        "general.file_type": 15,
        f"{a}.block_count": layers,
        f"{a}.context_length": 512,
        f"{a}.embedding_length": hidden,
        f"{a}.feed_forward_length": inner,
        f"{a}.attention.head_count": heads,
        f"{a}.attention.head_count_kv": kv_heads,
        f"{a}.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.tokens": [f"token {index}" for index in range(vocabulary)],
        "tokenizer.ggml.scores": [0.5] * vocabulary,
    }
    shapes = {"token_embd.weight": [vocabulary, hidden]}
    for index in range(layers):
        at = f"blk.{index}."
        shapes |= {
            f"{at}attn_norm.weight": [hidden],
            f"{at}attn_q.weight": [heads * width, hidden],
            f"{at}attn_k.weight": [kv_heads * width, hidden],
            f"{at}attn_v.weight": [kv_heads * width, hidden],
            f"{at}attn_output.weight": [hidden, heads * width],
            f"{at}ffn_norm.weight": [hidden],
            f"{at}ffn_gate.weight": [inner, hidden],
            f"{at}ffn_up.weight": [inner, hidden],
            f"{at}ffn_down.weight": [hidden, inner],
        }
    shapes |= {"output_norm.weight": [hidden]} | ({} if tied else {"output.weight": [vocabulary, hidden]})
    return metadata, {name: (_kind(name, shape, kinds or {}), shape) for name, shape in shapes.items()}


def _kind(name: str, shape: list[int], kinds: dict[str, str]) -> str:
    if len(shape) == 1:
        return "F32"
    return next((kind for part, kind in kinds.items() if part in name), "Q4_K")
