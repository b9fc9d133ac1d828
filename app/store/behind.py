"""Writing behind: history and events are put down by a thread of each process, so that no request waits.

What is put is gathered for a moment and written in one transaction. While the store is down it waits, up to
a bound; beyond that it is dropped and counted. `settle` waits until what was put so far is written.
"""

import atexit
import logging
import threading
from collections.abc import Callable
from typing import Final

from ..errors import StoreDown
from .forks import renew_in_children
from .records import EventKey, EventSum, NewEntry

LOG: Final = logging.getLogger("llm_estimate.store")

MOST_ENTRIES: Final = 500  # of history that wait in a process
MOST_SUMS: Final = 2000  # different sums of events that wait in a process
_GATHER_S: Final = 0.2
_PATIENCE_S: Final = 5.0  # until a store that was down is tried again [s]
_SETTLE_S: Final = 3.0  # that somebody waits who wants to read what was put [s]
_LAST_S: Final = 8.0  # that a process that ends gives its last writes: gunicorn gives it 10 [s]

WriteHistory = Callable[[list[NewEntry]], None]
WriteEvents = Callable[[list[tuple[EventKey, EventSum]]], None]


class Behind:
    """What waits to be written in this process; `dropped` is told how much was not."""

    def __init__(
        self,
        write_history: WriteHistory,
        write_events: WriteEvents,
        now_and_then: Callable[[], None],
        dropped: Callable[[str, int], None],
    ) -> None:
        self._write_history = write_history
        self._write_events = write_events
        self._now_and_then = now_and_then
        self._dropped = dropped
        self.start_anew()
        renew_in_children(self)

    def start_anew(self) -> None:
        """In a forked process: nothing waits, the parent writes what is its own."""
        self._changed = threading.Condition()
        self._entries: list[NewEntry] = []
        self._sums: dict[EventKey, EventSum] = {}
        self._writing = False
        self._failed = 0
        self._stopping = False
        self._hurry = False
        self._thread: threading.Thread | None = None

    def keep(self, entry: NewEntry) -> None:
        """Put an entry of history; where too many wait, it is dropped."""
        with self._changed:
            if len(self._entries) >= MOST_ENTRIES:
                self._dropped("history", 1)
                return
            self._entries.append(entry)
            self._wake()

    def count(self, key: EventKey, one: EventSum) -> None:
        """Put an event; where too many different ones wait, it is dropped."""
        with self._changed:
            before = self._sums.get(key)
            if before is None and len(self._sums) >= MOST_SUMS:
                self._dropped("events", one.count)
                return
            self._sums[key] = one if before is None else before + one
            self._wake()

    def settle(self, seconds: float = _SETTLE_S) -> bool:
        """Wait until everything that was put is written; False where that takes longer or fails."""
        with self._changed:
            failed = self._failed
            self._hurry = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waits() or self._failed != failed, seconds)
            return not self._waits()

    def stop(self) -> None:
        """Write what waits and end the thread."""
        with self._changed:
            self._stopping = self._hurry = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(_LAST_S)

    def _waits(self) -> bool:
        return bool(self._entries or self._sums or self._writing)

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
            self._thread.start()
            atexit.register(self.stop)
        self._changed.notify_all()

    def _run(self) -> None:
        while self._gather():
            ending = self._stopping
            if self._write_all():
                self._now_and_then_safely()
            elif ending:
                self._give_up()
            else:
                self._rest()

    def _gather(self) -> bool:
        """Wait for something, then a moment for more; False when the process ends and nothing waits."""
        with self._changed:
            self._changed.wait_for(lambda: self._entries or self._sums or self._stopping)
            self._changed.wait_for(lambda: self._hurry, _GATHER_S)
            return bool(self._entries or self._sums)

    def _rest(self) -> None:
        with self._changed:
            self._hurry = False
            self._changed.wait_for(lambda: self._hurry or self._stopping, _PATIENCE_S)

    def _give_up(self) -> None:
        with self._changed:
            self._drop(self._entries, self._sums)
            self._entries, self._sums = [], {}

    def _drop(self, entries: list[NewEntry], sums: dict[EventKey, EventSum]) -> None:
        self._dropped("history", len(entries))
        self._dropped("events", sum(each.count for each in sums.values()))

    def _write_all(self) -> bool:
        with self._changed:
            entries, self._entries = self._entries, []
            sums, self._sums = self._sums, {}
            self._writing = True
        try:
            if entries:
                self._write_history(entries)
                entries = []
            if sums:
                self._write_events([*sums.items()])
                sums = {}
        except StoreDown:
            pass
        except Exception:
            LOG.exception("dropped what the store does not take")
            self._drop(entries, sums)
            entries, sums = [], {}
        finally:
            self._put_back(entries, sums)
        return not entries and not sums

    def _put_back(self, entries: list[NewEntry], sums: dict[EventKey, EventSum]) -> None:
        """What could not be written waits again, before what came since."""
        with self._changed:
            self._failed += bool(entries or sums)
            self._entries = (entries + self._entries)[:MOST_ENTRIES]
            for key, each in sums.items():
                newer = self._sums.get(key)
                self._sums[key] = each if newer is None else each + newer
            self._writing = False
            self._hurry = self._stopping
            self._changed.notify_all()

    def _now_and_then_safely(self) -> None:
        try:
            self._now_and_then()
        except StoreDown:
            LOG.info("old rows are forgotten another time")
