"""API tokens by their hash: whoever makes and checks tokens decides what is hashed and how."""

import secrets
import time
from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update

from .database import Database
from .tables import TokenRow


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token; times are [s] since 1970."""

    id: str
    hash: str
    scopes: tuple[str, ...]
    label: str
    created: float
    expires: float | None
    revoked: float | None

    def valid_at(self, moment: float) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked is None and (self.expires is None or moment < self.expires)


class Tokens:
    """All tokens; every method raises `StoreDown`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, hash: str, scopes: tuple[str, ...], label: str, expires: float | None = None) -> Token:  # noqa: A002
        """Keep a new token."""
        token = Token(secrets.token_hex(8), hash, scopes, label, time.time(), expires, None)
        row = {"id": token.id, "hash": hash, "scopes": " ".join(scopes), "label": label,
               "created": token.created, "expires": expires}  # fmt: skip
        with self._database.write() as connection:
            connection.execute(insert(TokenRow).values(row))
        return token

    def by_hash(self, hash: str) -> Token | None:  # noqa: A002
        """The token with a hash, also one that is no longer valid."""
        with self._database.read() as connection:
            found = connection.execute(_ALL.where(TokenRow.hash == hash)).one_or_none()
        return None if found is None else _token(found)

    def list(self) -> list[Token]:
        """Every token, oldest first."""
        with self._database.read() as connection:
            return [_token(row) for row in connection.execute(_ALL.order_by(TokenRow.created, TokenRow.id))]

    def revoke(self, id: str) -> bool:  # noqa: A002
        """Make a token invalid from now on; False where there is none or it is revoked already."""
        change = update(TokenRow).where(TokenRow.id == id, TokenRow.revoked.is_(None))
        with self._database.write() as connection:
            return connection.execute(change.values(revoked=time.time())).rowcount == 1

    def delete(self, id: str) -> bool:  # noqa: A002
        """Forget a token; False where there is none."""
        with self._database.write() as connection:
            return connection.execute(delete(TokenRow).where(TokenRow.id == id)).rowcount == 1


_ALL = select(
    TokenRow.id, TokenRow.hash, TokenRow.scopes, TokenRow.label,
    TokenRow.created, TokenRow.expires, TokenRow.revoked,
)  # fmt: skip


def _token(row: tuple[str, str, str, str, float, float | None, float | None]) -> Token:
    id_, hash_, scopes, label, created, expires, revoked = row
    return Token(id_, hash_, tuple(scopes.split()), label, created, expires, revoked)
