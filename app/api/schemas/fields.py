"""Strict fields: nothing is converted, every refusal is a code with its values.

marshmallow's own fields take `"0.5"` for a number and `"yes"` for true; these take a JSON number and a
JSON boolean. The bounds given to a field are the ones it publishes.
"""

from collections.abc import Iterable
from typing import Any, Final

import marshmallow as ma

from ...errors import Problem
from ...messages import Message
from ..choices import Choices

LONGEST_TEXT: Final = 512


class Rejected(ma.ValidationError):
    """A value that a field does not take, as problems with their paths."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__([problem.message.code for problem in self.problems])


def rejected(path: str, code: str, **params: object) -> Rejected:
    """One problem at one path."""
    return Rejected([Problem(path, Message(code, {"field": path, **params}))])


class Strict(ma.fields.Field[Any]):
    """What every field here shares: a description, and null only where null is the default."""

    code = "not_valid"

    def __init__(self, description: str = "", **options: Any) -> None:
        published = options.pop("published", {})
        default = options.pop("default", ma.missing)
        if default is not ma.missing:
            published["default"] = default
            options.setdefault("allow_none", default is None)
        super().__init__(metadata={"description": description, **published}, **options)

    def read(self, value: Any, path: str) -> Any:
        """The value as the service uses it; raises `Rejected`."""
        if value is None:
            if self.allow_none:
                return None
            raise rejected(path, "is_null")
        return self.accept(value, path)

    def read_text(self, text: str, path: str) -> Any:
        """The value of a query parameter, which is always text."""
        return self.read(text, path)

    def accept(self, value: Any, path: str) -> Any:
        """The value if it is of the right kind; raises `Rejected`."""
        return value

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return self.accept(value, attr or "")


class Integer(Strict, ma.fields.Integer):
    """A JSON integer within bounds, which are part of what is published."""

    def __init__(
        self, description: str = "", *, least: int = 1, most: int = 2**63 - 1, **options: Any
    ) -> None:
        self.least, self.most = least, most
        options["published"] = {"minimum": least, "maximum": most}
        super().__init__(description, strict=True, **options)

    def accept(self, value: Any, path: str) -> int:
        if type(value) is not int:
            raise rejected(path, "not_integer")
        if not self.least <= value <= self.most:
            raise rejected(path, "out_of_range", least=self.least, most=self.most)
        return value

    def read_text(self, text: str, path: str) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise rejected(path, "not_integer")
        return self.accept(int(text), path)


class Number(Strict, ma.fields.Float):
    """A finite JSON number: above `above` or from `least` on, to `most`."""

    def __init__(
        self,
        description: str = "",
        *,
        least: float = 0,
        above: float | None = None,
        most: float = 1e15,
        **options: Any,
    ) -> None:
        self.least, self.above, self.most = least, above, most
        low = {"minimum": least} if above is None else {"exclusiveMinimum": above}
        options["published"] = {**low, "maximum": most}
        super().__init__(description, **options)

    def accept(self, value: Any, path: str) -> float:
        if type(value) is not int and type(value) is not float:
            raise rejected(path, "not_number")
        if self.above is not None and not self.above < value <= self.most:
            raise rejected(path, "out_of_open_range", above=self.above, most=self.most)
        if not self.least <= value <= self.most:
            raise rejected(path, "out_of_range", least=self.least, most=self.most)
        return value

    def read_text(self, text: str, path: str) -> float:
        try:
            return self.accept(float(text), path)
        except ValueError as error:
            raise rejected(path, "not_number") from error


class Boolean(Strict, ma.fields.Boolean):
    """true or false."""

    def accept(self, value: Any, path: str) -> bool:
        if value is not True and value is not False:
            raise rejected(path, "not_boolean")
        return value

    def read_text(self, text: str, path: str) -> bool:
        return self.accept({"true": True, "false": False}.get(text), path)


class Text(Strict, ma.fields.String):
    """A string that is not empty and not endless."""

    def __init__(self, description: str = "", *, longest: int = LONGEST_TEXT, **options: Any) -> None:
        self.longest = longest
        options["published"] = {"minLength": 1, "maxLength": longest}
        super().__init__(description, **options)

    def accept(self, value: Any, path: str) -> str:
        if not isinstance(value, str):
            raise rejected(path, "not_text")
        if not 0 < len(value) <= self.longest or not value.isprintable():
            raise rejected(path, "bad_text", most=self.longest)
        return value


_TEXT: Final = Text()


class Choice(Text):
    """One of an enumeration, matched without regard to case and to `-`, `_`, `.` and spaces."""

    def __init__(self, description: str = "", *, of: Choices, **options: Any) -> None:
        self.of = of
        super().__init__(description, **options)
        kept = {key: value for key, value in self.metadata.items() if not key.endswith("Length")}
        self.metadata = {**kept, "examples": list(of.names)}

    def accept(self, value: Any, path: str) -> str:
        name = self.of.canonical(super().accept(value, path))
        if name is None:
            raise rejected(path, "not_a_choice", value=value[:80], choices=", ".join(self.of.names))
        return name


class Switch(Choice):
    """An enumeration of which one name may also be written `true` and another `false`."""

    def __init__(self, description: str = "", *, of: Choices, true: str, false: str, **options: Any) -> None:
        self.names = {True: true, False: false}
        super().__init__(description, of=of, **options)
        self.metadata = {**self.metadata, "type": ["string", "boolean"]}

    def accept(self, value: Any, path: str) -> str:
        return self.names[value] if isinstance(value, bool) else super().accept(value, path)


class Object(Strict, ma.fields.Dict):
    """A JSON object whose content is checked further down."""

    def accept(self, value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise rejected(path, "not_object")
        return value


class TextOrObject(Strict):
    """A name, or an object that describes the thing itself; with `schema` its fields are checked."""

    def __init__(self, description: str = "", *, schema: Any = None, **options: Any) -> None:
        self.schema = schema
        options["published"] = {"type": ["string", "object"]}
        super().__init__(description, **options)

    def accept(self, value: Any, path: str) -> str | dict[str, Any]:
        if isinstance(value, dict):
            return value if self.schema is None else examine(self.schema, value, path)
        if not isinstance(value, str):
            raise rejected(path, "not_text_or_object")
        return _TEXT.accept(value, path)


def examine(schema: Any, value: dict[str, Any], path: str) -> dict[str, Any]:
    """The fields of an inner object by its strict schema; raises `Rejected` with all that is wrong."""
    values, problems = schema.examine(value, f"{path}.")
    if problems:
        raise Rejected(problems)
    return dict(values)


class Nested(Strict, ma.fields.Nested):  # type: ignore[misc]
    """An object with a schema of its own."""

    def __init__(self, schema: Any, description: str = "", **options: Any) -> None:
        published = options.pop("published", {})
        default = options.pop("default", ma.missing)
        if default is not ma.missing:
            published["default"] = default
            options["allow_none"] = default is None
        ma.fields.Nested.__init__(self, schema, metadata={"description": description, **published}, **options)

    def accept(self, value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise rejected(path, "not_object")
        return examine(self.schema, value, path)


class Texts(Strict, ma.fields.List[Any]):
    """A list of strings, or (with `word`) that one word in its place."""

    def __init__(
        self, description: str = "", *, word: str | None = None, most: int = 256, **options: Any
    ) -> None:
        self.word, self.most = word, most
        published: dict[str, Any] = {"maxItems": most}
        if word:
            published["type"] = ["string", "array"]
        options["published"] = published
        super().__init__(description, cls_or_instance=Text(), **options)

    def accept(self, value: Any, path: str) -> tuple[str, ...] | str:
        if self.word is not None and value == self.word:
            return self.word
        if not isinstance(value, list) or len(value) > self.most:
            raise rejected(path, "not_texts", most=self.most)
        return tuple(_TEXT.accept(item, f"{path}[{index}]") for index, item in enumerate(value))
