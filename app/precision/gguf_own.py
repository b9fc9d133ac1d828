"""The block types that one GGUF file has, tensor by tensor, as a configuration carries them.

`tensor_types` gives each kind of tensor, by llama.cpp's name for it, one type or a list of them by layer:
`{"token_embd": "Q6_K", "attn_v": ["Q6_K", "Q4_K"], "ffn_down_exps": "Q5_K"}`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from .fields import not_covered
from .gguf_mix import Category
from .gguf_types import BLOCKS

MOST_KINDS: Final = 64
MOST_LAYERS: Final = 4096


class OwnTypes(Struct, frozen=True):
    """By kind of tensor its type in every layer, or in each."""

    kinds: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def base(self) -> str:
        """The most common type."""
        every = [kind for _, kinds in self.kinds for kind in kinds]
        return max(dict.fromkeys(every), key=every.count)

    def of(self, category: Category, layer: int, stacked: bool) -> str:
        """The type of a tensor; raises `UnknownArchitecture` where the file has none of that kind."""
        name = category.value + ("_exps" if stacked else "")
        kinds = dict(self.kinds).get(name, ())
        if not kinds or (len(kinds) > 1 and layer >= len(kinds)):
            raise not_covered("gguf", f"the file has no {name} in layer {layer}")
        return kinds[layer] if len(kinds) > 1 else kinds[0]


def own_types(given: Mapping[str, Any]) -> OwnTypes | None:
    """The types of `tensor_types`; None where it is empty. Raises `UnknownArchitecture` for any other."""
    if not given:
        return None
    if len(given) > MOST_KINDS:
        raise not_covered("gguf", "too many kinds of tensors")
    return OwnTypes(tuple(sorted((str(name)[:64], _kinds(value)) for name, value in given.items())))


def _kinds(value: Any) -> tuple[str, ...]:
    kinds = (value,) if isinstance(value, str) else value
    if not isinstance(kinds, Sequence) or not 0 < len(kinds) <= MOST_LAYERS:
        raise not_covered("gguf", "tensor_types are block types or lists of them")
    if not all(isinstance(kind, str) and kind in BLOCKS for kind in kinds):
        raise not_covered("gguf", "a block type is not known")
    return tuple(kinds)
