"""Models that were registered as files of a folder, taken into the tables once."""

import logging
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from ..registry.user_models import FolderModelStore, content_of, file_name
from .changes import count_up
from .model_rows import TOPIC, put_row
from .old_folder import has_models, mark_of
from .tables import ChangeRow
from .upsert import insert_once

LOG: Final = logging.getLogger("llm_estimate.store")


def import_models(connection: Connection, folder: Path) -> None:
    """Take in every model of a folder whose name is free; one transaction with the mark that says so.

    The files stay where they are and are not looked at again. Broken ones are named in the log.
    """
    if not has_models(folder) or not insert_once(
        connection, ChangeRow, {"topic": mark_of(folder), "number": 1}
    ):
        return
    files = FolderModelStore(folder)
    taken = [
        put_row(connection, file_name(entry.name), content_of(entry), replace=False) for entry in files.list()
    ]
    if any(taken):
        count_up(connection, TOPIC)
    for problem in files.problems:
        LOG.warning("not imported: %s", problem)
    LOG.info("imported %d models from %s, which is not read any more", sum(taken), folder)
