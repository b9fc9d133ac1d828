"""The defaults of a question's fields, which are written once: where the question is."""

from typing import Any

from msgspec import Struct


def defaults_of(question: type[Struct]) -> dict[str, Any]:
    """Each field that may be left out, and what it then is.

    >>> class Asked(Struct):
    ...     model: str
    ...     batch_size: int = 1
    >>> defaults_of(Asked)
    {'batch_size': 1}
    """
    values = question.__struct_defaults__
    names = question.__struct_fields__[len(question.__struct_fields__) - len(values) :]
    return {
        name: value.factory() if hasattr(value, "factory") else value
        for name, value in zip(names, values, strict=True)
    }
