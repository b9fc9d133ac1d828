"""Models that were registered as files of a folder, taken into the tables once."""

import logging
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine

from ..registry.files import BrokenFile, BrokenFileError, read_object
from ..registry.models import ModelEntry
from ..registry.user_models import content_of, entry_of, is_name, place_of
from .changes import count_up
from .model_rows import TOPIC, put_row
from .old_folder import mark_of, models_in
from .tables import ChangeRow
from .upsert import insert_once

LOG: Final = logging.getLogger("llm_estimate.store")


def import_models(engine: Engine, folder: Path) -> None:
    """Take in every model of a folder whose name is free; one transaction with the mark that says so.

    The files stay where they are and are not looked at again. Broken ones are named in the log.
    """
    if not (files := sorted(models_in(folder))):
        return
    with engine.begin() as connection:
        if not insert_once(connection, ChangeRow, {"topic": mark_of(folder), "number": 1}):
            return
        taken = sum(_take(connection, path) for path in files)
        if taken:
            count_up(connection, TOPIC)
    LOG.info("imported %d models from %s, which is not read any more", taken, folder)


def _take(connection: Connection, path: Path) -> bool:
    try:
        entry = read_user_model(path)
    except BrokenFileError as error:
        LOG.warning("not imported: %s", error.broken)
        return False
    return put_row(connection, place_of(entry.name), content_of(entry), replace=False)


def read_user_model(path: Path) -> ModelEntry:
    """One file of the folder; raises `BrokenFileError` for a torn or foreign one."""
    content, _ = read_object(path)
    if (what := _what_is_wrong(content, path)) is not None:
        raise BrokenFileError(BrokenFile(path, None, what))
    return entry_of(content)


def _what_is_wrong(content: dict[str, Any], path: Path) -> str | None:
    name, repo_id, config, meta = (content.get(key) for key in ("name", "repo_id", "config", "meta"))
    if not is_name(name) or _file_name(str(name)) != path.name:
        return "name: missing, or not the file's"
    if not isinstance(config, dict):
        return "config: missing, or not an object"
    if not isinstance(repo_id, str | None) or not isinstance(meta, dict | None):
        return "repo_id or meta: of another kind"
    return None


def _file_name(name: str) -> str:
    return place_of(name).replace("/", "%2f") + ".json"
