"""OpenAPI links: which requests an answer leads to, and what of the answer goes into them.

Clients and testing tools that read /openapi.json follow them from one operation to the next.
"""

from collections.abc import Mapping
from typing import Any


def link(method: str, path: str, parameters: Mapping[str, str], body: Any = None) -> dict[str, Any]:
    """To an operation, with parameters (and a body) taken from the answer by runtime expressions.

    >>> link("get", "/s/{id}", {"id": "/id"})
    {'operationRef': '#/paths/~1s~1{id}/get', 'parameters': {'id': '$response.body#/id'}}
    """
    at = path.replace("/", "~1")
    taken = {name: f"$response.body#{pointer}" for name, pointer in parameters.items()}
    found: dict[str, Any] = {"operationRef": f"#/paths/{at}/{method}", "parameters": taken}
    return found if body is None else {**found, "requestBody": body}


def responses(status: int, **links: dict[str, Any]) -> dict[str, Any]:
    """For a blueprint's `doc`: the links of the answer with a status, by name."""
    return {"responses": {status: {"links": links}}}
