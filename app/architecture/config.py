"""Reading a Hugging Face `config.json`: each architecture's own defaults, older names, typed fields.

`Config` answers for one model type. A field is looked for under its own name, then under the names that
architecture also goes by (`hidden_size` for GPT-2's `n_embd` and the other way round), then among that
architecture's defaults (`defaults.json`, read off the configuration classes of transformers). What is
missing everywhere, or impossible, is an `InvalidConfig` that names the field.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from ..errors import InvalidConfig, Problem, UnknownArchitecture
from ..messages import Message

# Bounds keep a hostile configuration from costing time or memory; the largest real models stay a
# hundredfold below each of them.
LARGEST_SIZE: Final = 2**31
LARGEST_COUNT: Final = 2**14

# The types whose configuration classes refuse heads that don't divide the hidden size; others round down.
EVEN_HEADS: Final = frozenset({
    "arcee", "cwm", "gemma2", "gemma3_text", "gpt_neox", "hrm_text", "hyperclovax", "internlm3",
    "iquestcoder", "jais2", "llama", "vaultgemma",
})  # fmt: skip


@cache
def defaults() -> Mapping[str, Any]:
    """Every model type's default fields, aliases and sub-configurations.

    `remote.json` has those whose configuration class stands beside a checkpoint, not in transformers.
    """
    files = (Path(__file__).with_name(name) for name in ("remote.json", "defaults.json"))
    return {name: entry for file in files for name, entry in json.loads(file.read_bytes()).items()}


def fail(field: str, code: str, **params: object) -> InvalidConfig:
    """An impossible field, as an error that names it."""
    message = Message(code, {"field": field, **params})
    return InvalidConfig(message, [Problem(field, message)])


def not_covered(field: str, name: object, reason: str) -> UnknownArchitecture:
    """The error for a lineage, or a part of one, that has no description."""
    message = Message("architecture_not_covered", {"name": str(name)[:80], "reason": reason})
    return UnknownArchitecture(message, [Problem(field, message)])


class Config:
    """One model type's fields, typed and defaulted; `path` is where it stands in the whole file."""

    def __init__(self, data: Mapping[str, Any], model_type: str, path: str = "config") -> None:
        self.data = data
        self.model_type = model_type
        self.path = path
        entry = defaults().get(model_type, {})
        self._defaults: Mapping[str, Any] = entry.get("defaults", {})
        self._subs: Mapping[str, Any] = entry.get("sub_configs", {})
        self._other_names: dict[str, list[str]] = {}
        for alias, name in entry.get("attribute_map", {}).items():
            self._other_names.setdefault(name, []).append(alias)
            self._other_names.setdefault(alias, []).append(name)

    # --- raw access --------------------------------------------------------------------------

    def given(self, name: str) -> Any:
        """The value that stands in the file, under the field's own or another name, else None."""
        for candidate in (name, *self._other_names.get(name, ())):
            if (value := self.data.get(candidate)) is not None:
                return value
        return None

    def stated(self, name: str) -> bool:
        """Whether the file has the field at all, be it null."""
        return any(key in self.data for key in (name, *self._other_names.get(name, ())))

    def get(self, name: str, otherwise: Any = None) -> Any:
        """The value as given (null included), else the architecture's default, else `otherwise`."""
        names = (name, *self._other_names.get(name, ()))
        for source in (self.data, self._defaults):
            for candidate in names:
                if candidate in source:
                    value = source[candidate]
                    return otherwise if value is None else value
        return otherwise

    # --- typed access ------------------------------------------------------------------------

    def size(self, name: str, otherwise: int | None = None, *, least: int = 1) -> int:
        """A whole number from `least` up."""
        value = self.get(name, otherwise)
        if value is None:
            raise fail(self._full(name), "config_missing", model_type=self.model_type)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise fail(self._full(name), "config_not_whole", value=_shown(value))
        if not least <= value <= LARGEST_SIZE:
            raise fail(
                self._full(name), "config_out_of_range", value=_shown(value), least=least, most=LARGEST_SIZE
            )
        return value

    def count(self, name: str, otherwise: int | None = None, *, least: int = 1) -> int:
        """A number of layers or other things that are walked one by one: a `size` with a tighter bound."""
        value = self.size(name, otherwise, least=least)
        if value > LARGEST_COUNT:
            raise fail(self._full(name), "config_out_of_range", value=value, least=least, most=LARGEST_COUNT)
        return value

    def maybe(self, name: str, *, least: int = 1) -> int | None:
        """A whole number, or None where the field is null or left out and has no default."""
        return None if self.get(name) is None else self.size(name, least=least)

    def flag(self, name: str, otherwise: bool = False) -> bool:
        """A boolean."""
        value = self.get(name, otherwise)
        if not isinstance(value, bool | int):
            raise fail(self._full(name), "config_not_boolean", value=_shown(value))
        return bool(value)

    def number(self, name: str, otherwise: float | None = None) -> float:
        """A finite number."""
        value = self.get(name, otherwise)
        if value is None:
            raise fail(self._full(name), "config_missing", model_type=self.model_type)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
            raise fail(self._full(name), "config_not_number", value=_shown(value))
        return float(value)

    def text(self, name: str, otherwise: str | None = None) -> str:
        """A string."""
        value = self.get(name, otherwise)
        if not isinstance(value, str):
            raise fail(self._full(name), "config_not_text", value=_shown(value))
        return value

    def items(self, name: str, otherwise: Sequence[Any] | None = None) -> list[Any] | None:
        """A list, or None where it is null or left out."""
        value = self.get(name, otherwise)
        if value is None:
            return None
        if not isinstance(value, list | tuple) or len(value) > 8 * LARGEST_COUNT:
            raise fail(self._full(name), "config_not_list", value=_shown(value))
        return list(value)

    def mapping(self, name: str) -> Mapping[str, Any]:
        """An object; empty where it is null or left out."""
        value = self.get(name, {})
        if not isinstance(value, Mapping):
            raise fail(self._full(name), "config_not_object", value=_shown(value))
        return value

    def sub(self, name: str, model_type: str | None = None) -> "Config":
        """A nested configuration (`text_config`, `vision_config`), with its own type's defaults.

        Where the field may hold any type, the type it states counts; where its class is fixed, that class
        does. A field left out has the values that the outer class gives it.
        """
        spec = self._subs.get(name, {})
        data = dict(self.mapping(name) if self.given(name) is not None else spec.get("with", {}))
        stated, own = data.get("model_type"), spec.get("model_type", "")
        may_vary = spec.get("any_type", not own)
        chosen = stated if may_vary and isinstance(stated, str) and stated else own
        return Config(data, model_type or chosen, f"{self.path}.{name}")

    def wrong(self, name: str, code: str, **params: object) -> InvalidConfig:
        """The error for a field of this configuration (to raise)."""
        return fail(self._full(name), code, **params)

    def pair(self, name: str, otherwise: int | None = None) -> tuple[int, int]:
        """Height and width: a list of two, or one number for both."""
        value = self.get(name, otherwise)
        if not isinstance(value, list | tuple):
            return (side := self.size(name, otherwise)), side
        if len(value) != 2 or not all(type(side) is int and 0 < side <= LARGEST_SIZE for side in value):
            raise self.wrong(name, "config_not_whole", value=_shown(value))
        return value[0], value[1]

    def uncovered(self, name: str, reason: str) -> UnknownArchitecture:
        """The error for a value of a field that no description covers (to raise)."""
        return not_covered(self._full(name), self.get(name), reason)

    def _full(self, name: str) -> str:
        return f"{self.path}.{name}"

    # --- what nearly every decoder has -------------------------------------------------------

    @property
    def hidden(self) -> int:
        """Width of the residual stream."""
        return self.size("hidden_size")

    @property
    def layers(self) -> int:
        """Number of layers."""
        return self.count("num_hidden_layers")

    @property
    def heads(self) -> int:
        """Query heads."""
        return self.size("num_attention_heads")

    @property
    def kv_heads(self) -> int:
        """Key-value heads [query heads]."""
        return self.size("num_key_value_heads", self.heads)

    @property
    def head_dim(self) -> int:
        """Width of one head [hidden / heads, rounded down]; some architectures insist that it divides."""
        if (stated := self.maybe("head_dim")) is not None:
            return stated
        uneven = self.hidden % self.heads and self.model_type in EVEN_HEADS
        if uneven or self.hidden < self.heads:
            raise self.wrong("num_attention_heads", "config_not_divisible", value=self.heads, of=self.hidden)
        return self.hidden // self.heads

    @property
    def vocab(self) -> int:
        """Rows of the embedding."""
        return self.size("vocab_size")

    @property
    def inner(self) -> int:
        """Inner width of the feed-forward block."""
        return self.size("intermediate_size")

    @property
    def tied(self) -> bool:
        """Whether the head reuses the embedding (`tie_embedding` in LFM2's files)."""
        if self.data.get("tie_embedding") is not None:
            return self.flag("tie_embedding")
        return self.flag("tie_word_embeddings")

    def layer_types(self, otherwise: Sequence[str]) -> list[str]:
        """The kind of each layer, as long as the stack; given lists are checked."""
        types = self.items("layer_types") or list(otherwise)
        if len(types) < self.layers or not all(isinstance(kind, str) for kind in types):
            raise self.wrong("layer_types", "config_layer_types", value=len(types), layers=self.layers)
        return types[: self.layers]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
