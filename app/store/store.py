"""Everything that is kept, by subject; a subject's module is imported when it is first asked for."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from .address import Address, read_address

if TYPE_CHECKING:
    from .calibrations import Calibrations
    from .database import Database
    from .sweeps import Sweeps
    from .tokens import Tokens


class Store:
    """The store of one service; making it opens nothing."""

    def __init__(self, database_url: str | None, data_folder: Path) -> None:
        self.address: Address = read_address(database_url, data_folder)

    @cached_property
    def database(self) -> "Database":
        """The way to the tables."""
        from .database import Database

        return Database(self.address)

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
