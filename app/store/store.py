"""Everything that is kept, by subject; a subject's module is imported when it is first asked for."""

import logging
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import StoreDown
from .address import Address, read_address
from .current import look
from .old_folder import has_models, mark_of
from .user_models import StoredModels

if TYPE_CHECKING:
    from .calibrations import Calibrations
    from .database import Database
    from .model_rows import ModelRows
    from .sweeps import Sweeps
    from .tokens import Tokens

LOG: Final = logging.getLogger("llm_estimate.store")


class Store:
    """The store of one service; making it opens nothing."""

    def __init__(self, database_url: str | None, data_folder: Path) -> None:
        self.address: Address = read_address(database_url, data_folder)
        self._folder = data_folder / "models"  # where models were kept before there were tables
        self.models = StoredModels(self.address, lambda: self._model_rows, self._is_untouched)

    def prepare(self) -> None:
        """What a service does at its start: migrate where that is due. While the store is down it goes on."""
        if self._is_untouched() or self._is_ready():
            return
        try:
            self.database.prepare()
        except StoreDown as error:
            LOG.warning("starting without the store: %s", error)

    @cached_property
    def database(self) -> "Database":
        """The way to the tables."""
        from .database import Database
        from .folder_import import import_models

        return Database(self.address, lambda connection: import_models(connection, self._folder))

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
    def sweeps(self) -> "Sweeps":
        """Sweeps and their finished parts."""
        from .sweeps import Sweeps

        return Sweeps(self.database)

    @cached_property
    def _model_rows(self) -> "ModelRows":
        from .model_rows import ModelRows

        return ModelRows(self.database)

    def _is_untouched(self) -> bool:
        """Whether nothing was ever kept, here or in the folder of old."""
        return self.address.untouched and not has_models(self._folder)

    def _is_ready(self) -> bool:
        """Whether a SQLite store needs neither a migration nor an import, at a look."""
        numbers = None if self.address.file is None else look(self.address.file)
        return numbers is not None and (not has_models(self._folder) or mark_of(self._folder) in numbers)
