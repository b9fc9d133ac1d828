"""Forgetting what is past its time: every so often, by whichever process of all comes first."""

import logging
import time
from collections.abc import Callable
from typing import Final

from .changes import claim_turn
from .clock import Clock
from .database import Database

LOG: Final = logging.getLogger("llm_estimate.store")
EVERY_S: Final = 3600


class Housekeeping:
    """The turns of one process; `purge` is what is done in one. Raises `StoreDown`."""

    def __init__(self, database: Database, clock: Clock, purge: Callable[[], object]) -> None:
        self._database = database
        self._clock = clock
        self._purge = purge
        self._next = 0.0

    def take_turn(self) -> None:
        """Purge, where an hour went by since anybody did."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY_S
        if self._clock.has_jumped():
            LOG.warning("nothing is forgotten as too old: the clock has jumped since the start")
            return
        with self._database.write() as connection:
            mine = claim_turn(connection, "purged", int(time.time()), EVERY_S)
        if mine:
            self._purge()
