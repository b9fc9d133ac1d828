"""All models that a request can name: the built-in ones and, beside them, the users' own."""

from dataclasses import replace

from ..errors import BuiltinModel, NameTaken
from ..messages import Message
from .models import ModelEntry, ModelMatch, ModelRegistry
from .names import unknown
from .user_models import UserModelStore, check_name


class Catalogue:
    """Built-in models and a store of users' models under one set of names, no one twice."""

    def __init__(self, builtin: ModelRegistry, store: UserModelStore) -> None:
        self.builtin = builtin
        self.store = store

    def all(self) -> list[ModelEntry]:
        """Built-in models, then the users' own."""
        return [*self.builtin, *self.store.list()]

    def find(self, name: str) -> ModelMatch:
        """What a name means, with warnings; raises `UnknownName` with the closest names of either kind."""
        found = self.builtin.lookup(name)
        if found is not None:
            return found
        entry = self.store.get(name)
        if entry is not None:
            return ModelMatch(entry)
        own = [each.name for each in self.store.list()]
        raise unknown("unknown_model", name, [*self.builtin.candidates(name), *own])

    def get(self, name: str) -> ModelEntry:
        """The model of a name; raises `UnknownName` with the closest names."""
        return self.find(name).entry

    def add(self, entry: ModelEntry) -> ModelEntry:
        """Register a user's model; its configuration is read first, so that none gets in that does not read.

        Raises `InvalidRequest` for its name, `NameTaken`, and what reading its configuration raises.
        """
        check_name(entry.name)
        for name in (entry.name, entry.repo_id):
            if name is not None and (name in self.builtin or self.store.get(name) is not None):
                raise NameTaken(Message("name_taken", {"name": name}))
        return self._keep(entry, replacing=False)

    def change(self, name: str, entry: ModelEntry) -> ModelEntry:
        """Give a user's model another configuration under the name it has.

        Raises `BuiltinModel`, `UnknownName`, and what reading the configuration raises.
        """
        return self._keep(replace(entry, name=self._own(name).name), replacing=True)

    def delete(self, name: str) -> None:
        """Forget a user's model; raises `BuiltinModel` and `UnknownName`."""
        if not self.store.delete(self._own(name).name):
            raise unknown("unknown_model", name, self.builtin.candidates(name))

    def _keep(self, entry: ModelEntry, *, replacing: bool) -> ModelEntry:
        own = replace(entry, builtin=False)
        _ = own.architecture
        self.store.put(own, replace=replacing)
        return own

    def _own(self, name: str) -> ModelEntry:
        if self.builtin.lookup(name) is not None:
            raise BuiltinModel(Message("builtin_model", {"name": name}))
        return self.get(name)
