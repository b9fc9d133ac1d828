"""Users' models in the tables, as the registry sees them.

Each process keeps the models that it read, and looks at one number to know whether they changed. With SQLite
that look goes past the database library, so that a service without models of users never imports it.
"""

import threading
from builtins import list as List  # noqa: N812  # `list` is a method here
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from ..errors import NameTaken, StoreDown
from ..messages import Message
from ..registry.models import ModelEntry
from ..registry.names import NameIndex
from ..registry.user_models import UserModelStore, check_name, content_of, entry_of, index_of, place_of
from .address import Address
from .current import look

if TYPE_CHECKING:
    from .model_rows import ModelRow, ModelRows

_TOPIC: Final = "registered_models"


class _Seen(Struct, frozen=True):
    """What the tables held at a number; `read` has each entry with the time of its row."""

    number: int = 0
    entries: Mapping[str, ModelEntry] = field(default_factory=dict)
    names: NameIndex[str] = field(default_factory=NameIndex)
    read: Mapping[str, tuple[float, ModelEntry]] = field(default_factory=dict)


class StoredModels(UserModelStore):
    """Users' models in the store; nothing is made before the first write."""

    def __init__(
        self, address: Address, rows: "Callable[[], ModelRows]", untouched: Callable[[], bool]
    ) -> None:
        self._address = address
        self._rows = rows
        self._untouched = untouched
        self._lock = threading.Lock()
        self._seen = _Seen()

    def list(self) -> List[ModelEntry]:
        return [*self._refresh().entries.values()]

    def last_known(self) -> List[ModelEntry]:
        return [*self._seen.entries.values()]

    def get(self, name: str) -> ModelEntry | None:
        """As the base has it; while the store is down, models that were read before are still found."""
        try:
            return _find(self._refresh(), name)
        except StoreDown:
            found = _find(self._seen, name)
            if found is None:
                raise
            return found

    def put(self, entry: ModelEntry, *, replace: bool = False) -> None:
        check_name(entry.name)
        if not self._rows().put(place_of(entry.name), content_of(entry), replace=replace):
            raise NameTaken(Message("name_taken", {"name": entry.name}))

    def delete(self, name: str) -> bool:
        entry = _find(self._refresh(), name)
        return entry is not None and self._rows().delete(place_of(entry.name))

    def check(self) -> None:
        if self._address.impossible:
            raise StoreDown(Message("store_read_only"))
        self._number()

    def _number(self) -> int:
        """How often the models have changed; 0 where nobody ever registered one."""
        if self._untouched():
            return 0
        numbers = None if self._address.file is None else look(self._address.file)
        return self._rows().number() if numbers is None else numbers.get(_TOPIC, 0)

    def _refresh(self) -> _Seen:
        number = self._number()
        if number == self._seen.number:
            return self._seen
        with self._lock:
            if number != self._seen.number:
                seen, rows = self._rows().all()
                read = {row.place: (row.updated, self._entry(row)) for row in rows}
                entries, names = index_of(entry for _, entry in read.values())
                self._seen = _Seen(seen, entries, names, read)
            return self._seen

    def _entry(self, row: "ModelRow") -> ModelEntry:
        """The entry as it was read before, with what it has worked out, where the row is still the same."""
        before = self._seen.read.get(row.place)
        return before[1] if before and before[0] == row.updated else entry_of(row.content)


def _find(seen: _Seen, name: str) -> ModelEntry | None:
    meant = seen.names.get(name)
    return None if meant is None else seen.entries[meant]
