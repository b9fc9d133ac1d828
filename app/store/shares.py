"""Shared states of the page, each under an id that cannot be guessed."""

import secrets
import time

from sqlalchemy import delete, insert, select

from .database import Database
from .records import Share
from .tables import ShareRow


class Shares:
    """All shares; every method raises `StoreDown`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, state: str, seconds: float | None) -> Share:
        """Keep a state for so long, or for good, under a new id of 128 random bits."""
        now = time.time()
        share = Share(secrets.token_urlsafe(16), state, now, None if seconds is None else now + seconds)
        row = {"id": share.id, "state": state, "created": now, "expires": share.expires}
        with self._database.write() as connection:
            connection.execute(insert(ShareRow).values(row))
        return share

    def get(self, id: str) -> Share | None:  # noqa: A002
        """The share of an id, also one that has expired and was not forgotten yet."""
        wanted = select(ShareRow.id, ShareRow.state, ShareRow.created, ShareRow.expires)
        with self._database.read() as connection:
            found = connection.execute(wanted.where(ShareRow.id == id)).one_or_none()
        return None if found is None else Share(*found)

    def expire(self, before: float) -> int:
        """Forget the shares that expired before a moment [s since 1970]; how many."""
        with self._database.write() as connection:
            return connection.execute(delete(ShareRow).where(ShareRow.expires < before)).rowcount
