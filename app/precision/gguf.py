"""GGUF files as a scheme: every matrix in the block type that `llama-quantize` would choose for it.

Embeddings and head are quantized too; norms, biases, routers, convolutions and recurrence parameters stay
float32, as llama.cpp's converter writes them. Vision and audio parts are a file of their own, in float16.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from operator import mul
from typing import Final, Self

from msgspec import Struct
from msgspec.structs import replace

from ..architecture import Architecture
from ..architecture.operations import Attention, Experts, Operation, Parameter, Role
from ..architecture.sections import Section
from ..messages import Message
from .formats import Stored, matrix_of
from .gguf_mix import MIXES, VALUES, Category, Facts, Mix, Place, choose
from .gguf_own import OwnTypes
from .gguf_types import row_bytes
from .scheme import TOWERS, quantities

__all__ = ["MIXES", "Gguf"]

Key = tuple[str, str, int]  # a section's template, a parameter's name, an index

_NAMES: Final[Mapping[str, Category]] = {
    **dict.fromkeys(("q_proj", "wq", "query", "q"), Category.QUERY),
    **dict.fromkeys(("k_proj", "wk", "key", "k"), Category.KEY),
    **dict.fromkeys(("v_proj", "wv", "value", "v"), Category.VALUE),
    **dict.fromkeys(("qkv_proj", "query_key_value", "c_attn", "Wqkv", "W_pack", "wqkv", "qkv", "in_proj_qkv"),
                    Category.QKV),
    **dict.fromkeys(("o_proj", "out_proj", "wo", "o", "dense", "attn_out"), Category.ATTENTION_OUT),
    **dict.fromkeys(("gate_proj", "w1", "gate"), Category.GATE),
    **dict.fromkeys(("up_proj", "w3", "c_fc", "fc1", "fc_in", "dense_h_to_4h", "gate_up_proj"), Category.UP),
    **dict.fromkeys(("down_proj", "w2", "fc2", "fc_out", "dense_4h_to_h"), Category.DOWN),
}  # fmt: skip

_FLOAT32: Final = (Role.NORM, Role.BIAS, Role.ROUTER, Role.CONVOLUTION, Role.STATE)


def category_of(section: Section, parameter: Parameter) -> Category:
    """The kind of tensor that llama.cpp would see in this parameter."""
    if parameter.role is Role.HEAD:
        return Category.OUTPUT
    if parameter.role is Role.EMBEDDING and section.component == "embedding":
        return Category.EMBEDDING
    path = parameter.name.removesuffix(".weight").split(".")
    if path[-1] == "c_proj":
        return Category.DOWN if "mlp" in path else Category.ATTENTION_OUT
    return _NAMES.get(path[-1], Category.OTHER)


class Piece(Struct, frozen=True):
    """A tensor of the file: its kind, rows and row length."""

    category: Category
    rows: int
    columns: int
    stacked: bool = False


def _tensors(section: Section, op: Operation, parameter: Parameter, shape: tuple[int, ...]) -> list[Piece]:
    """What the parameter becomes in the file; gate and up of stacked experts stand apart."""
    matrix = matrix_of(parameter, shape)
    if matrix is None:
        return []
    category = category_of(section, parameter)
    if isinstance(op, Experts) and parameter.experts and len(shape) == 3:
        parts = matrix.count // shape[0]
        names = (Category.GATE, Category.UP) if parts == 2 else (category,) * parts
        return [Piece(name, matrix.rows * shape[0], matrix.columns, True) for name in names]
    return [Piece(category, matrix.rows, matrix.columns)]


@dataclass(frozen=True)
class Gguf:
    """A file type. `on` a model it knows each tensor's block type; before, only the most common one.

    `own`: the block types that one file has, instead of those that the mix would choose.
    """

    wide: str = "bfloat16"
    name: str = "q4_k_m"
    warnings: tuple[Message, ...] = field(default=(), compare=False)
    kinds: Mapping[Key, tuple[str, ...]] = field(default_factory=dict)
    own: OwnTypes | None = None

    @property
    def stacked(self) -> bool:
        """Yes."""
        return True

    def on(self, architecture: Architecture) -> "Gguf":
        """With the block types chosen for this model's layers (kept for the models asked for lately)."""
        return dataclasses.replace(self, kinds=_choices(self.name, self.own, architecture))

    def widened(self, dtype: str) -> Self:
        """The same: what is not quantized is float32 in these files."""
        return dataclasses.replace(self, wide=dtype)

    def sections(self, architecture: Architecture) -> tuple[Section, ...]:
        """Cut where layers get different block types."""
        return _sections(self.name, self.own, architecture)

    def covers(self, section: Section, op: Operation, parameter: Parameter) -> bool:
        """Every matrix that is no norm, bias, router, convolution or recurrence parameter."""
        if parameter.role in _FLOAT32 or parameter.buffer or section.component in TOWERS:
            return False
        return parameter.role is not Role.OTHER and matrix_of(parameter, parameter.shape) is not None

    def stored(
        self, section: Section, op: Operation, parameter: Parameter, shape: tuple[int, ...]
    ) -> tuple[Stored, ...]:
        """Blocks of the chosen types; what is not quantized is float32, matrices of towers float16."""
        if not self.covers(section, op, parameter):
            kind = "F16" if section.component in TOWERS and len(shape) > 1 else "F32"
            return (Stored("", shape, kind.lower(), reduce(mul, shape, 1) * int(kind[1:]) // 8),)
        pieces = _tensors(section, op, parameter, shape)
        kinds = self.kinds.get((section.template, parameter.name, section.indices[0]))
        base = self.own.base if self.own else MIXES[self.name].base
        chosen = kinds or (base,) * len(pieces)
        return tuple(
            Stored(
                piece.category.value.removeprefix("ffn_") if len(pieces) > 1 else "",
                (piece.rows, piece.columns),
                kind.lower(),
                piece.rows * row_bytes(kind, piece.columns),
            )
            for piece, kind in zip(pieces, chosen, strict=True)
        )


@lru_cache(maxsize=128)
def _sections(name: str, own: OwnTypes | None, architecture: Architecture) -> tuple[Section, ...]:
    kinds = _choices(name, own, architecture)
    return tuple(cut for section in architecture.sections for cut in _cut(section, kinds))


def _cut(section: Section, chosen: Mapping[Key, tuple[str, ...]]) -> Iterator[Section]:
    names = [p.name for _, p in quantities(section)]
    alike: dict[tuple[object, ...], list[int]] = {}
    for index in section.indices[: section.copies]:
        kinds = tuple(chosen.get((section.template, name, index)) for name in names)
        alike.setdefault(kinds, []).append(index)
    if len(alike) <= 1:
        yield section
    else:
        yield from (replace(section, indices=tuple(indices)) for indices in alike.values())


@lru_cache(maxsize=128)
def _choices(name: str, own: OwnTypes | None, architecture: Architecture) -> dict[Key, tuple[str, ...]]:
    """The block types of every covered parameter, layer by layer in the order of the file."""
    places = list(_places(architecture, Gguf(name=name)))
    if own is None:
        return _mixed(MIXES[name], places, architecture)
    return {
        key: tuple(own.of(piece.category, layer, piece.stacked) for piece in pieces)
        for key, layer, pieces in places
    }


def _mixed(
    mix: Mix, places: list[tuple[Key, int, list[Piece]]], architecture: Architecture
) -> dict[Key, tuple[str, ...]]:
    """The block types that `llama-quantize` would choose."""
    chosen: dict[Key, tuple[str, ...]] = {}
    model = _facts(architecture, sum(piece.category in VALUES for _, _, pieces in places for piece in pieces))
    seen: dict[Category, int] = {}
    for key, layer, pieces in places:
        kinds = []
        for piece in pieces:
            group = Category.VALUE if piece.category in VALUES else piece.category
            place = Place(piece.category, layer, seen.get(group, 0), piece.columns, piece.stacked)
            seen[group] = seen.get(group, 0) + 1
            kinds.append(choose(mix, model, place))
        chosen[key] = tuple(kinds)
    return chosen


def _places(architecture: Architecture, scheme: Gguf) -> Iterator[tuple[Key, int, list[Piece]]]:
    covered = [
        (index, section, op, parameter)
        for section in architecture.sections
        for op, parameter in quantities(section)
        if scheme.covers(section, op, parameter)
        for index in section.indices[: section.copies]
    ]
    for index, section, op, parameter in sorted(covered, key=lambda entry: entry[0]):
        pieces = _tensors(section, op, parameter, parameter.shape)
        yield (section.template, parameter.name, index), index, pieces


def _facts(architecture: Architecture, values: int) -> Facts:
    attention = next((op for _, op in architecture.operations() if isinstance(op, Attention)), None)
    experts = next((op.count for _, op in architecture.operations() if isinstance(op, Experts)), 0)
    ratio = attention.heads // max(1, attention.kv_heads) if attention else 1
    heads = [p for s in architecture.sections for _, p in quantities(s) if p.role is Role.HEAD]
    layers = architecture.layers
    return Facts(
        layers=layers,
        queries_per_key=ratio,
        experts=experts,
        values=values,
        tied=not heads,
        falcon=architecture.model_type == "falcon",
        seventy=layers == 80 and ratio > 1,
    )
