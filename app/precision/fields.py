"""Typed reading of a `quantization_config`: every value checked, what was assumed kept for a warning."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ..errors import InvalidConfig, Problem, UnknownArchitecture
from ..messages import Message
from .patterns import Patterns

GROUPS: Final = range(-1, 2**20)
LONGEST_LIST: Final = 100_000


def not_covered(method: str, reason: str) -> UnknownArchitecture:
    """The error for a method, or an algorithm of one, that is not described."""
    message = Message("quantization_not_covered", {"method": method[:80], "reason": reason})
    return UnknownArchitecture(message, [Problem("config.quantization_config", message)])


class Fields:
    """One `quantization_config`; `model` is the file around it and `wide` the data type of the rest."""

    def __init__(self, data: Mapping[str, Any], model: Mapping[str, Any], wide: str) -> None:
        self.data = data
        self.model = model
        self.wide = wide
        self.warnings: list[Message] = []

    def within(self, data: Mapping[str, Any]) -> "Fields":
        """The same reading of a nested object; its warnings are this one's."""
        inner = Fields(data, self.model, self.wide)
        inner.warnings = self.warnings
        return inner

    @property
    def model_type(self) -> str:
        """The model's type, or nothing."""
        stated = self.model.get("model_type")
        return stated if isinstance(stated, str) else ""

    def model_text(self, name: str) -> str:
        """A string of the file around."""
        value = self.model.get(name)
        return value.lower() if isinstance(value, str) else ""

    def text(self, name: str) -> str:
        """A string; nothing where it is missing or no string."""
        value = self.data.get(name)
        return value if isinstance(value, str) else ""

    def flag(self, name: str, otherwise: bool = False) -> bool:
        """A boolean, `otherwise` where it is missing."""
        value = self.data.get(name)
        return otherwise if value is None else bool(value)

    def whole(self, name: str, otherwise: int, allowed: range | tuple[int, ...]) -> int:
        """A whole number among those allowed; raises `InvalidConfig`."""
        value = self.data.get(name)
        if value is None:
            return otherwise
        if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
            shown = str(allowed) if isinstance(allowed, tuple) else f"{allowed.start}..{allowed.stop - 1}"
            field = f"config.quantization_config.{name}"
            message = Message(
                "quantization_option", {"field": field, "value": repr(value)[:40], "allowed": shown}
            )
            raise InvalidConfig(message, [Problem(field, message)])
        return value

    def group(self, name: str, otherwise: int) -> int:
        """A group size; -1 is the whole row."""
        return self.whole(name, otherwise, GROUPS)

    def pair(self, name: str) -> tuple[int, int] | None:
        """Two extents, or None where the field is missing or null."""
        value = self.data.get(name)
        if value is None:
            return None
        if isinstance(value, list | tuple) and len(value) == 2:
            own = self.within({f"{name}": value[0], "second": value[1]})
            return own.whole(name, 128, range(1, 2**20)), own.whole("second", 128, range(1, 2**20))
        raise not_covered(self.text("quant_method"), f"{name} is not a pair of extents")

    def mapping(self, name: str) -> Mapping[str, Any]:
        """An object; empty where it is missing or something else."""
        value = self.data.get(name)
        return value if isinstance(value, Mapping) else {}

    def items(self, name: str) -> list[Any]:
        """A list; empty where it is missing or something else."""
        value = self.data.get(name)
        return list(value[:LONGEST_LIST]) if isinstance(value, list | tuple) else []

    def flat(self, value: object) -> Iterator[str]:
        """The strings in a string or a list of them."""
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | tuple):
            yield from (entry for entry in value if isinstance(entry, str))

    def skipped(self, *names: str) -> Patterns:
        """The modules that any of these lists names."""
        return Patterns.of(entry for name in names for entry in self.items(name))

    def assume(self, field: str, value: object) -> None:
        """Say that something was assumed."""
        self.warnings.append(Message("quantization_assumed", {"field": field, "value": value}))
