"""The tables. Times are seconds since 1970, UTC [s]; owners are opaque texts (see `owner_of` of the API).

A change here needs a migration beside it: tests hold the two equal on both databases.
"""

from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
# SQLite counts up by itself only in a column that is exactly INTEGER.
_NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")

Document = dict[str, Any]


class Base(DeclarativeBase):
    """Constraints have names from the first migration on, so that later ones can speak of them."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {float: Double(), int: BigInteger(), Document: JSON()}  # noqa: RUF012


class ChangeRow(Base):
    """How often something that processes keep in memory has changed; counted up with each change of it."""

    __tablename__ = "changes"

    topic: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int]


class TokenRow(Base):
    """An API token: only its hash is kept."""

    __tablename__ = "tokens"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    hash: Mapped[str] = mapped_column(String(128), unique=True)
    scopes: Mapped[str] = mapped_column(String(200))
    label: Mapped[str] = mapped_column(String(200))
    created: Mapped[float]
    expires: Mapped[float | None]
    revoked: Mapped[float | None]


class RegisteredModelRow(Base):
    """A user's model; `place` is the same for all spellings of a name, so that no two spell alike."""

    __tablename__ = "registered_models"

    place: Mapped[str] = mapped_column(String(255), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    entry: Mapped[Document]
    created: Mapped[float]
    updated: Mapped[float]


class CalibrationRow(Base):
    """Coefficients that somebody measured on hardware of their own."""

    __tablename__ = "calibrations"
    __table_args__ = (UniqueConstraint("owner", "name"),)

    id: Mapped[int] = mapped_column(_NUMBER, primary_key=True)
    owner: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(64))
    coefficients: Mapped[Document]
    created: Mapped[float]


class HistoryRow(Base):
    """One question that somebody wanted kept, and the heart of its answer."""

    __tablename__ = "history"
    __table_args__ = (Index(None, "owner", "id"),)

    id: Mapped[int] = mapped_column(_NUMBER, primary_key=True)
    owner: Mapped[str] = mapped_column(String(100))
    kind: Mapped[str] = mapped_column(String(64))
    request: Mapped[Document]
    summary: Mapped[Document]
    search: Mapped[str]
    created: Mapped[float] = mapped_column(index=True)


class ShareRow(Base):
    """The state of the page under an id that cannot be guessed."""

    __tablename__ = "shares"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    state: Mapped[str]
    created: Mapped[float]
    expires: Mapped[float | None] = mapped_column(index=True)


class EventRow(Base):
    """What was used, summed over an hour: no row and no field is about a person."""

    __tablename__ = "events"

    hour: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event: Mapped[str] = mapped_column(String(64), primary_key=True)
    type: Mapped[str] = mapped_column(String(64), primary_key=True)
    count: Mapped[int]
    timed: Mapped[int]
    duration: Mapped[float]
    longest: Mapped[float]


class SweepJobRow(Base):
    """A sweep: who asked what, how far it is, and who works at it until when."""

    __tablename__ = "sweep_jobs"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    owner: Mapped[str] = mapped_column(String(100), index=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    request: Mapped[Document]
    total: Mapped[int]
    done: Mapped[int]
    error: Mapped[str | None]
    created: Mapped[float]
    finished: Mapped[float | None]
    lease_until: Mapped[float | None]
    runner: Mapped[str | None] = mapped_column(String(100))


class SweepPartRow(Base):
    """A finished piece of a sweep; the key lets each piece in once, whoever computed it."""

    __tablename__ = "sweep_parts"

    job_id: Mapped[str] = mapped_column(ForeignKey("sweep_jobs.id", ondelete="CASCADE"), primary_key=True)
    index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    points: Mapped[int]
    payload: Mapped[bytes] = mapped_column(LargeBinary)
