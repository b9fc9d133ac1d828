"""Numbers that worker processes count side by side and any one of them can add up.

A piece of shared memory, made before the fork, holds a region for each worker. Nothing lies on a disk that
could be full, and nothing is left over to clean: a worker owns the first region whose lock it gets, the
kernel gives the lock back when the worker is gone, however it went, and its successor counts on from there.

A region is a head (the number of its keys, the id of the process), the values, and the keys as JSON lines.
"""

import fcntl
import mmap
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import orjson

Key = tuple[str, ...]

MOST_KEYS: Final = 8192  # of a region; what does not fit is not counted
_HEAD: Final = 2  # numbers before the values
_VALUES: Final = 8 * (MOST_KEYS + _HEAD)  # [bytes] of head and values
REGION: Final = 1 << 20  # [bytes] touched only as far as it is used
REGIONS: Final = 64


class _Region:
    """What one process counts into; keys are found by a table of the process's own."""

    def __init__(self, memory: mmap.mmap, start: int) -> None:
        self._memory = memory
        self._values = _values(memory, start)
        self._start = start + _VALUES
        self._end = start + REGION
        keys = list(_keys(memory, start))  # of a process that was here before
        self._slots = {key: slot for slot, key in enumerate(keys, _HEAD)}
        self._values[1] = os.getpid()
        self._used = self._start + sum(len(_line(key)) for key in keys)

    def add(self, key: Key, amount: float) -> None:
        slot = self._slots.get(key) or self._open(key)
        if slot:
            self._values[slot] += amount

    def _open(self, key: Key) -> int:
        """A slot for a new key; the number of keys changes last, so a reader never sees half of one."""
        line, count = _line(key), len(self._slots)
        if count == MOST_KEYS or self._used + len(line) > self._end:
            return 0
        self._memory[self._used : self._used + len(line)] = line
        self._used += len(line)
        self._slots[key] = slot = _HEAD + count
        self._values[slot] = 0.0
        self._values[0] = count + 1
        return slot


class SharedFlag:
    """Something that has happened in one of the processes that were forked after this was made."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 1)

    def __bool__(self) -> bool:
        return self._memory[0] != 0

    def set(self) -> None:
        self._memory[0] = 1


class SharedCounts:
    """Sums by key over every process that was forked after this was made."""

    def __init__(self, regions: int = REGIONS) -> None:
        self._regions = regions
        self._file = _memory_file(regions * REGION)
        self._memory = mmap.mmap(self._file, regions * REGION)
        self._lock = threading.Lock()
        self._process = 0
        self._own: _Region | None = None

    def __del__(self) -> None:
        with suppress(OSError, AttributeError):
            os.close(self._file)

    def add(self, *counted: tuple[Key, float]) -> None:
        """Add amounts to the numbers of keys, in this process's region."""
        with self._lock:
            region = self._own if self._process == os.getpid() else self._claim()
            if region is not None:
                for key, amount in counted:
                    region.add(key, amount)

    def totals(self) -> dict[Key, float]:
        """Every key's number, added up over the processes that are and that were."""
        found: dict[Key, float] = {}
        for start in range(0, self._regions * REGION, REGION):
            values = _values(self._memory, start)
            for slot, key in enumerate(_keys(self._memory, start), _HEAD):
                found[key] = found.get(key, 0.0) + values[slot]
        return found

    def processes(self) -> dict[int, int]:
        """The processes that count and run: their ids by the number of their region."""
        with self._lock:
            ids = (int(_values(self._memory, each * REGION)[1]) for each in range(self._regions))
            return {each: pid for each, pid in enumerate(ids) if pid and self._is_held(each, pid)}

    def _is_held(self, index: int, pid: int) -> bool:
        """Whether a region's owner lives; our own lock must not be tried, for that would give it back."""
        if pid == os.getpid():
            return self._process == pid
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, index)
        except OSError:
            return True
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, index)
        return False

    def _claim(self) -> _Region | None:
        """A region of this process's own; None, and nothing is counted, where more run than there are."""
        self._process, self._own = os.getpid(), None
        for index in range(self._regions):
            with suppress(OSError):
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, index)
                self._own = _Region(self._memory, index * REGION)
                break
        return self._own


def _values(memory: mmap.mmap, start: int) -> "memoryview[float]":
    """Head and values of a region."""
    return memoryview(memory)[start : start + _VALUES].cast("d")


def _line(key: Key) -> bytes:
    return orjson.dumps(key) + b"\n"


def _keys(memory: mmap.mmap, start: int) -> Iterator[Key]:
    """The keys of a region in the order of their slots."""
    place = start + _VALUES
    for _ in range(int(_values(memory, start)[0])):
        end = memory.find(b"\n", place) + 1
        yield tuple(orjson.loads(memory[place:end]))
        place = end


def _memory_file(size: int) -> int:
    """A file of zeros without a name: in memory where the system has such, else in the temporary folder."""
    try:
        file = os.memfd_create("counts")
    except (AttributeError, OSError):
        with tempfile.TemporaryFile() as made:
            file = os.dup(made.fileno())
    os.ftruncate(file, size)
    return file
