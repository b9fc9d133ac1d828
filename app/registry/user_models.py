"""Models that users register: one JSON file each in a folder that all workers share.

A file appears whole or not at all: it is written beside its place, flushed to the disk, and moved there.
Every worker sees a change at its next look, which costs one `stat` of the folder while nothing changed.
"""

import json
import os
import re
import threading
import time
from abc import ABC, abstractmethod
from builtins import list as List  # noqa: N812  # `list` is a method here
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

from ..errors import InvalidRequest, NameTaken, Problem, StoreDown
from ..messages import Message
from .files import BrokenFile, BrokenFileError, read_object
from .models import ModelEntry
from .names import NameIndex

_PART: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_NAME: Final = re.compile(rf"{_PART}(/{_PART})?")
LONGEST_NAME: Final = 200  # [characters]; with the escaped slash and the suffix below any file system's 255
_SEPARATORS: Final = re.compile(r"[-_.]+")
_RACY_NS: Final = 2_000_000_000  # a folder changed so lately may change again within one tick of its clock


class UserModelStore(ABC):
    """Where users' models are kept; `problems` lists what could not be read."""

    @property
    @abstractmethod
    def problems(self) -> list[BrokenFile]:
        """Files that were left out at the last look."""

    @abstractmethod
    def list(self) -> list[ModelEntry]:
        """All models, by name; raises `StoreDown`."""

    def last_known(self) -> "List[ModelEntry]":
        """All models as they were seen last, by name; for whoever cannot wait for the store."""
        return []

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


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it was last read: files are never changed in place, so another content has another stamp."""

    stamp: tuple[int, int, int]
    content: ModelEntry | BrokenFile
    settled: bool  # False where it was so new that a later content might get the very same stamp


class FolderModelStore(UserModelStore):
    """Users' models in a folder, which is made at the first write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._seen: int | None = None
        self._files: dict[str, _File] = {}
        self._names: NameIndex[str] = NameIndex()
        self._entries: dict[str, ModelEntry] = {}

    @property
    def problems(self) -> list[BrokenFile]:
        return [each.content for each in self._files.values() if isinstance(each.content, BrokenFile)]

    def list(self) -> list[ModelEntry]:
        entries, _ = self._refresh()
        return list(entries.values())

    def get(self, name: str) -> ModelEntry | None:
        entries, names = self._refresh()
        meant = names.get(name)
        return None if meant is None else entries[meant]

    def put(self, entry: ModelEntry, *, replace: bool = False) -> None:
        check_name(entry.name)
        target = self.folder / file_name(entry.name)
        text = json.dumps(content_of(entry), ensure_ascii=False, indent=2, allow_nan=False)
        try:
            is_new = self._write(target, text, replace)
        except OSError as error:
            raise _down(error) from error
        if not is_new:
            raise NameTaken(Message("name_taken", {"name": entry.name}))

    def delete(self, name: str) -> bool:
        entry = self.get(name)
        if entry is None:
            return False
        try:
            (self.folder / file_name(entry.name)).unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _down(error) from error
        return True

    def check(self) -> None:
        self._refresh()

    def _write(self, target: Path, text: str, replace: bool) -> bool:
        """Write a file whole; False where one is there that is not to be replaced."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=self.folder, prefix=".new-", delete=False, encoding="utf-8") as file:
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                if not _place(Path(file.name), target, replace):
                    return False
            finally:
                Path(file.name).unlink(missing_ok=True)
        _flush_folder(self.folder)
        return True

    def _refresh(self) -> tuple[dict[str, ModelEntry], NameIndex[str]]:
        """What the folder holds now, read again only where it changed."""
        try:
            changed = self.folder.stat().st_mtime_ns
        except FileNotFoundError:
            return {}, NameIndex()
        except OSError as error:
            raise _down(error) from error
        with self._lock:
            if changed != self._seen:
                looked = time.time_ns()
                self._look(looked)
                self._seen = changed if _settled(changed, looked) else None
            return self._entries, self._names

    def _look(self, now: int) -> None:
        try:
            with os.scandir(self.folder) as found:
                paths = {each.name: each.stat() for each in found if _is_ours(each)}
        except OSError as error:
            raise _down(error) from error
        stamps = {name: (s.st_ino, s.st_mtime_ns, s.st_size) for name, s in sorted(paths.items())}
        files = {name: self._file(name, stamp, now) for name, stamp in stamps.items()}
        if files != self._files:
            self._entries, self._names = _by_name(files)
        self._files = files

    def _file(self, name: str, stamp: tuple[int, int, int], now: int) -> _File:
        before = self._files.get(name)
        if before is not None and before.settled and before.stamp == stamp:
            return before
        settled = _settled(stamp[1], now)
        try:
            return _File(stamp, read_user_model(self.folder / name), settled)
        except BrokenFileError as error:
            return _File(stamp, error.broken, settled)


def _settled(changed: int, now: int) -> bool:
    """Whether a change lies so far back that no later one can carry the same time [ns]."""
    return now - changed > _RACY_NS


def check_name(name: str) -> None:
    """Raises `InvalidRequest` unless a name can be a model's: one or two parts of letters, digits, `._-`."""
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        message = Message("bad_model_name", {"name": name[:LONGEST_NAME]})
        raise InvalidRequest(message, [Problem("name", message)])


def file_name(name: str) -> str:
    """The file of a model: the same for all spellings that differ in case or kind of separator.

    >>> file_name("Me/My_Model-1.5B")
    'me%2fmy-model-1-5b.json'
    """
    return _SEPARATORS.sub("-", name.casefold()).replace("/", "%2f") + ".json"


def read_user_model(path: Path) -> ModelEntry:
    """One file of the folder; raises `BrokenFileError` for a torn or foreign one."""
    content, _ = read_object(path)
    name, repo_id, config, meta = (content.get(key) for key in ("name", "repo_id", "config", "meta"))
    if not isinstance(name, str) or not _NAME.fullmatch(name) or file_name(name) != path.name:
        raise BrokenFileError(BrokenFile(path, None, "name: missing, or not the file's"))
    if not isinstance(config, dict):
        raise BrokenFileError(BrokenFile(path, None, "config: missing, or not an object"))
    if not isinstance(repo_id, str | None) or not isinstance(meta, dict | None):
        raise BrokenFileError(BrokenFile(path, None, "repo_id or meta: of another kind"))
    return entry_of(content)


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


def _by_name(files: Mapping[str, _File]) -> tuple[dict[str, ModelEntry], NameIndex[str]]:
    return index_of(each.content for each in files.values() if isinstance(each.content, ModelEntry))


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


def _is_ours(found: "os.DirEntry[str]") -> bool:
    return (
        found.name.endswith(".json")
        and not found.name.startswith(".")
        and found.is_file(follow_symlinks=False)
    )


def _place(written: Path, target: Path, replace: bool) -> bool:
    """Give a file its name; a link fails where the name exists, a rename would win over another worker."""
    if replace:
        written.replace(target)
        return True
    try:
        target.hardlink_to(written)
    except FileExistsError:
        return False
    return True


def _flush_folder(folder: Path) -> None:
    """Make a rename last through a crash; not every file system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _down(error: OSError) -> StoreDown:
    return StoreDown(Message("store_unavailable", {"reason": error.strerror or type(error).__name__}))
