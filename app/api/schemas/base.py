"""A schema that names every problem at once and walks only the fields that were given."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cached_property
from typing import Any, ClassVar, cast

import marshmallow as ma

from ...errors import InvalidRequest, Problem
from ...messages import Message
from .fields import Rejected, Strict

Rule = Callable[[Mapping[str, Any], str], Problem | None]


MOST_PROBLEMS = 100  # unknown fields that one error names
MOST_CLOSEST = 20  # and for how many of them the closest name is looked up, which is dear


class StrictSchema(ma.Schema):
    """Fields as declared, none beside them, and `rules` that concern several fields together.

    A rule gets the accepted values and the path prefix and returns what is wrong, or None. Rules run on
    what was accepted even when other fields were refused, so that one answer names everything.
    """

    class Meta:
        unknown = ma.RAISE

    rules: ClassVar[tuple[Rule, ...]] = ()

    def load(self, data: Any, **_options: Any) -> Any:
        """Accepted values by field name; raises `InvalidRequest` with every problem."""
        if not isinstance(data, Mapping):
            raise InvalidRequest(Message("body_not_object"))
        values, problems = self.examine(data)
        if problems:
            raise invalid_request(problems)
        return values

    def examine(self, data: Mapping[str, Any], prefix: str = "") -> tuple[dict[str, Any], list[Problem]]:
        """Accepted values, and what is wrong with the rest; the work is proportional to what was given."""
        values: dict[str, Any] = {}
        problems: list[Problem] = []
        fields = self.load_fields
        for name, value in data.items():
            field = fields.get(name)
            if field is None:
                if len(problems) < MOST_PROBLEMS:
                    problems.append(unknown_field(name, prefix, fields, len(problems) < MOST_CLOSEST))
                continue
            try:
                values[name] = cast(Strict, field).read(value, prefix + name)
            except Rejected as error:
                problems.extend(error.problems)
        problems.extend(self._missing(data, prefix))
        problems.extend(problem for rule in self.rules if (problem := rule(data, prefix)))
        return values, problems

    def _missing(self, data: Mapping[str, Any], prefix: str) -> list[Problem]:
        return [
            Problem(prefix + name, Message("is_missing", {"field": prefix + name}))
            for name in self._required
            if name not in data
        ]

    @cached_property
    def _required(self) -> tuple[str, ...]:
        return tuple(name for name, field in self.load_fields.items() if field.required)


class QuerySchema(StrictSchema):
    """The same for query parameters, which are text; each may be given once."""

    def load(self, data: Any, **_options: Any) -> Any:
        values: dict[str, Any] = {}
        problems: list[Problem] = []
        for name, texts in data.lists():
            field = self.load_fields.get(name)
            if field is None:
                problems.append(unknown_field(name, "", self.load_fields, len(problems) < MOST_CLOSEST))
            elif len(texts) > 1:
                problems.append(Problem(name, Message("given_twice", {"field": name})))
            else:
                self._take(cast(Strict, field), name, texts[0], values, problems)
        if problems:
            raise invalid_request(problems)
        return values

    @staticmethod
    def _take(field: Strict, name: str, text: str, values: dict[str, Any], problems: list[Problem]) -> None:
        try:
            values[name] = field.read_text(text, name)
        except Rejected as error:
            problems.extend(error.problems)


def unknown_field(name: str, prefix: str, fields: Mapping[str, Any], look: bool = True) -> Problem:
    """What to say of a field that is not there, with the closest that is where one is to be looked for."""
    close = get_close_matches(name[:80], fields, n=1, cutoff=0.5) if look else ()
    path = prefix + name[:80]
    if close:
        return Problem(path, Message("unknown_field_closest", {"field": path, "closest": prefix + close[0]}))
    return Problem(path, Message("unknown_field", {"field": path}))


def invalid_request(problems: list[Problem]) -> InvalidRequest:
    """One error for all of them: the first in full, and how many more there are."""
    first = problems[0].message
    if len(problems) == 1:
        return InvalidRequest(first, problems)
    fields = ", ".join(dict.fromkeys(problem.field for problem in problems))
    return InvalidRequest(Message("several_problems", {"count": len(problems), "fields": fields}), problems)
