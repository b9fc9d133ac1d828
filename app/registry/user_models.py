"""Models that users register: their names, what is kept of them, and what a store of them can do."""

import re
from abc import ABC, abstractmethod
from builtins import list as List  # noqa: N812  # `list` is a method here
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ..errors import InvalidRequest, Problem
from ..messages import Message
from .models import ModelEntry
from .names import NameIndex

_PART: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_NAME: Final = re.compile(rf"(?!inspect$){_PART}(/{_PART})?")  # that path is another operation's
LONGEST_NAME: Final = 200  # [characters]
_SEPARATORS: Final = re.compile(r"[-_.]+")


class UserModelStore(ABC):
    """Where users' models are kept. Every change is seen by all processes at their next question."""

    @abstractmethod
    def list(self) -> List[ModelEntry]:
        """All models, by name; raises `StoreDown`."""

    @abstractmethod
    def last_known(self) -> List[ModelEntry]:
        """All models as they were seen last, by name; for whoever cannot wait for the store."""

    @abstractmethod
    def get(self, name: str) -> ModelEntry | None:
        """The model of a name or hub id, or None; raises `StoreDown`."""

    @abstractmethod
    def put(self, entry: ModelEntry, *, replace: bool = False) -> None:
        """Keep a model; raises `NameTaken` where the name is in use and `replace` is off, and `StoreDown`."""

    @abstractmethod
    def delete(self, name: str) -> bool:
        """Forget the model of a name; False where there is none; raises `StoreDown`."""

    @abstractmethod
    def check(self) -> None:
        """Raises `StoreDown` unless models can be read."""


def is_name(name: object) -> bool:
    """Whether something can be a model's name: one or two parts of letters, digits, `._-`; not `inspect`."""
    return isinstance(name, str) and len(name) <= LONGEST_NAME and _NAME.fullmatch(name) is not None


def check_name(name: str) -> None:
    """Raises `InvalidRequest` unless `is_name`."""
    if not is_name(name):
        message = Message("bad_model_name", {"name": name[:LONGEST_NAME]})
        raise InvalidRequest(message, [Problem("name", message)])


def place_of(name: str) -> str:
    """The place of a model: the same for all spellings that differ in case or kind of separator.

    >>> place_of("Me/My_Model-1.5B")
    'me/my-model-1-5b'
    """
    return _SEPARATORS.sub("-", name.casefold())


def content_of(entry: ModelEntry) -> Mapping[str, Any]:
    """What is kept of a model."""
    meta = {**entry.meta, "source": entry.source or "user"}
    return {"name": entry.name, "repo_id": entry.repo_id, "meta": meta, "config": entry.config}


def entry_of(content: Mapping[str, Any]) -> ModelEntry:
    """The model that was kept so."""
    meta = content.get("meta") or {}
    source = str(meta.get("source", "user"))
    return ModelEntry(
        content["name"], content.get("repo_id"), content["config"], meta, source=source, builtin=False
    )


def index_of(models: Iterable[ModelEntry]) -> tuple[dict[str, ModelEntry], NameIndex[str]]:
    """Models by name, and the name that each name and hub id means."""
    entries = {each.name: each for each in models}
    names: NameIndex[str] = NameIndex()
    for name in entries:
        names.add(name, name)
    for entry in entries.values():
        if entry.repo_id:
            names.add(entry.repo_id, entry.name)
    return entries, names
