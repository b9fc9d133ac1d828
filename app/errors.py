"""What can be wrong with a question, as plain exceptions that carry fields.

The core raises these; only the HTTP layer knows which status each code becomes. An error lists every
problem that was found, each with the field it is about, so that a caller can mend all at once.
"""

from collections.abc import Iterable

from msgspec import Struct

from .messages import Language, Message


class Problem(Struct, frozen=True):
    """One thing that is wrong: the field as the caller wrote it (dotted path) and what to say of it."""

    field: str
    message: Message


class DomainError(Exception):
    """A question that has no answer; `code` is stable, `problems` name what to mend."""

    code = "invalid_request"

    def __init__(self, message: Message, problems: Iterable[Problem] = ()) -> None:
        self.message = message
        self.problems = tuple(problems)
        super().__init__(message.code)

    def text(self, language: Language = "en") -> str:
        """The error as one sentence for people."""
        return self.message.text(language)

    def __str__(self) -> str:
        return self.text()


class InvalidRequest(DomainError):
    """A field of the request is wrong, or two fields contradict each other (400)."""


class InvalidConfig(DomainError):
    """A known architecture with impossible values (400)."""

    code = "invalid_config"


class NotSupportedYet(DomainError):
    """The contract documents it, this version does not compute it (400)."""

    code = "not_supported_yet"


class InvalidLayout(DomainError):
    """A parallel layout that the model cannot take (400)."""

    code = "invalid_layout"


class TooMuchWork(DomainError):
    """A question that was stopped because it took too long (400)."""

    code = "too_much_work"


class UnknownArchitecture(DomainError):
    """A configuration whose architecture is not named or not covered (422)."""

    code = "unknown_architecture"


class UnknownName(DomainError):
    """A model or accelerator that is not there (404); `closest` are the likeliest names."""

    code = "not_found"

    def __init__(
        self, message: Message, closest: Iterable[str] = (), problems: Iterable[Problem] = ()
    ) -> None:
        self.closest = tuple(closest)
        super().__init__(message, problems)


class NameTaken(DomainError):
    """A model's name, id or alias that another model has already (409)."""

    code = "name_taken"


class BuiltinModel(DomainError):
    """A built-in model that somebody wants to change or delete (403)."""

    code = "builtin_model"


class StoreDown(DomainError):
    """The place where users' models are kept cannot be read or written (503)."""

    code = "store_unavailable"


class HubError(DomainError):
    """The hub answered something else than what was asked for (502)."""

    code = "hub_failed"


class HubNotFound(HubError):
    """A repository, revision or file that the hub does not have, or does not show (404)."""

    code = "hub_not_found"


class HubTimeout(HubError):
    """The hub took too long (504)."""

    code = "hub_timeout"


class HubOffline(HubError):
    """The service is set to stay off the network (503)."""

    code = "hub_offline"


def invalid(field: str, code: str, **params: object) -> InvalidRequest:
    """An `InvalidRequest` with one problem: the common case."""
    message = Message(code, {"field": field, **params})
    return InvalidRequest(message, [Problem(field, message)])
