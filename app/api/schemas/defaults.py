"""The defaults of the contract, read off the questions of the core, where they are written once."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from ...defaults import defaults_of


def default_of(question: type[Struct]) -> Callable[[str], Any]:
    """A function from field name to that field's default; raises KeyError where it has none."""
    return defaults_of(question).__getitem__
