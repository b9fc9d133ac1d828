"""The defaults of the contract, read off the questions of the core, where they are written once."""

from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any


def default_of(question: type) -> Callable[[str], Any]:
    """A function from field name to that dataclass field's default; raises KeyError where it has none."""
    defaults = {field.name: field.default for field in fields(question) if field.default is not MISSING}
    return defaults.__getitem__
