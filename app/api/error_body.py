"""The one error shape and the status of each domain error; without a web framework, for every face."""

from collections.abc import Mapping
from typing import Any, Final

from ..errors import DomainError, Problem
from ..messages import Language

# Domain codes whose status is not 400.
STATUSES: Final[Mapping[str, int]] = {
    "unauthorized": 401,
    "forbidden": 403,
    "builtin_model": 403,
    "not_found": 404,
    "hub_not_found": 404,
    "name_taken": 409,
    "unknown_architecture": 422,
    "hub_failed": 502,
    "hub_offline": 503,
    "store_unavailable": 503,
    "hub_timeout": 504,
}


def status_of(error: DomainError) -> int:
    """The HTTP status of a domain error."""
    return int(getattr(error, "status", None) or STATUSES.get(error.code, 400))


def error_body(error: DomainError, reader: Language) -> dict[str, Any]:
    """The one error shape, without the request's id."""
    body: dict[str, Any] = {
        "error": error.text(reader),
        "code": error.code,
        "status": status_of(error),
        "details": [_detail(problem, reader) for problem in error.problems],
    }
    if closest := getattr(error, "closest", ()):
        body["closest"] = list(closest)
    return body


def _detail(problem: Problem, reader: Language) -> dict[str, str]:
    message = problem.message
    return {"field": problem.field, "message": message.text(reader), "code": message.code}
