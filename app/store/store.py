"""Everything that is kept, by subject; a subject's module is imported when it is first asked for."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import StoreDown
from ..settings import Settings
from .address import Address, read_address
from .clock import Clock
from .current import look
from .old_folder import has_models, mark_of
from .records import NewEntry
from .retention import Retention, purge
from .user_models import StoredModels

if TYPE_CHECKING:
    from .behind import Behind
    from .calibrations import Calibrations
    from .database import Database
    from .events import Events
    from .history import History
    from .housekeeping import Housekeeping
    from .model_rows import ModelRows
    from .shares import Shares
    from .sweeps import Sweeps
    from .tokens import Tokens


class Store:
    """The store of one service; making it opens nothing."""

    def __init__(
        self,
        database_url: str | None,
        data_folder: Path,
        retention: Retention = Retention(),  # noqa: B008
    ) -> None:
        self.address: Address = read_address(database_url, data_folder)
        self.retention = retention
        self.clock = Clock()
        self.dropped: Counter[str] = Counter()
        self.on_dropped: Callable[[str, int], None] = lambda _kind, _count: None
        self._folder = data_folder / "models"  # where models were kept before there were tables
        self.models = StoredModels(self.address, lambda: self._model_rows, self._is_untouched)

    @classmethod
    def from_settings(cls, settings: Settings) -> "Store":
        """The store that the settings mean."""
        retention = Retention(
            settings.history_days, settings.history_most, settings.share_days,
            settings.analytics_days, settings.sweep_days,
        )  # fmt: skip
        return cls(settings.database_url, settings.data_folder, retention)

    @cached_property
    def behind(self) -> "Behind":
        """Writes history and events without anybody waiting."""
        from .behind import Behind

        return Behind(
            lambda entries: self.history.add(entries, self.retention.history_most),
            lambda sums: self.events.add(sums),
            lambda: self._housekeeping.take_turn(),
            self.count_dropped,
        )

    @cached_property
    def _housekeeping(self) -> "Housekeeping":
        from .housekeeping import Housekeeping

        return Housekeeping(self.database, self.clock, self.purge)

    def keep(
        self,
        owner: str,
        kind: str,
        request: Mapping[str, Any],
        summary: Mapping[str, Any],
        search: str,
        now: float,
    ) -> None:
        """Keep a question in its owner's history, soon; `now` is [s] since 1970."""
        self.behind.keep(NewEntry(owner, kind, request, summary, search, now))

    def purge(self) -> dict[str, int]:
        """Forget what is past its time; how much of each."""
        return purge(self, self.retention, time.time())

    def prepare(self) -> None:
        """What a service does at its start: migrate where that is due. While the store is down it goes on."""
        if self._is_untouched() or self._is_ready():
            return
        try:
            self.database.prepare()
        except StoreDown as error:
            import logging

            logging.getLogger("llm_estimate.store").warning("starting without the store: %s", error)

    def close(self) -> None:
        """Write what waits, and give the connections back."""
        if "behind" in vars(self):
            self.behind.stop()
        if "database" in vars(self):
            self.database.close()

    @cached_property
    def database(self) -> "Database":
        """The way to the tables."""
        from .database import Database
        from .folder_import import import_models

        return Database(self.address, lambda engine: import_models(engine, self._folder))

    @cached_property
    def tokens(self) -> "Tokens":
        """API tokens."""
        from .tokens import Tokens

        return Tokens(self.database)

    @cached_property
    def calibrations(self) -> "Calibrations":
        """Coefficients measured by users."""
        from .calibrations import Calibrations

        return Calibrations(self.database)

    @cached_property
    def history(self) -> "History":
        """Questions that were kept."""
        from .history import History

        return History(self.database)

    @cached_property
    def shares(self) -> "Shares":
        """Shared states of the page."""
        from .shares import Shares

        return Shares(self.database)

    @cached_property
    def events(self) -> "Events":
        """What was used how often."""
        from .events import Events

        return Events(self.database)

    @cached_property
    def sweeps(self) -> "Sweeps":
        """Sweeps and their finished parts."""
        from .sweeps import Sweeps

        return Sweeps(self.database)

    @cached_property
    def _model_rows(self) -> "ModelRows":
        from .model_rows import ModelRows

        return ModelRows(self.database)

    def count_dropped(self, kind: str, count: int) -> None:
        """So much was not kept, because the store was down for too long or it was too large."""
        if count:
            self.dropped[kind] += count
            self.on_dropped(kind, count)

    def _is_untouched(self) -> bool:
        """Whether nothing was ever kept, here or in the folder of old."""
        return self.address.untouched and not has_models(self._folder)

    def _is_ready(self) -> bool:
        """Whether a SQLite store needs neither a migration nor an import, at a look."""
        numbers = None if self.address.file is None else look(self.address.file)
        return numbers is not None and (not has_models(self._folder) or mark_of(self._folder) in numbers)
