"""Calibrations: coefficients under a name, each belonging to one owner."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from .database import Database
from .tables import CalibrationRow


@dataclass(frozen=True, slots=True)
class Calibration:
    """Coefficients of one kind (`inference`, `training`, …) as they were put; `created` is [s] since 1970."""

    owner: str
    name: str
    kind: str
    coefficients: Mapping[str, Any]
    created: float


class Calibrations:
    """All calibrations; every method raises `StoreDown`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, owner: str, name: str, kind: str, coefficients: Mapping[str, Any]) -> Calibration:
        """Keep coefficients; those that the owner had under the name are replaced."""
        kept = Calibration(owner, name, kind, coefficients, time.time())
        values = {"kind": kind, "coefficients": dict(coefficients), "created": kept.created}
        with self._database.write() as connection:
            there = update(CalibrationRow).where(*_is(owner, name)).values(values)
            if not connection.execute(there).rowcount:
                connection.execute(insert(CalibrationRow).values(owner=owner, name=name, **values))
        return kept

    def get(self, owner: str, name: str) -> Calibration | None:
        """An owner's calibration of a name."""
        with self._database.read() as connection:
            found = connection.execute(_ALL.where(*_is(owner, name))).one_or_none()
        return None if found is None else _calibration(found)

    def list(self, owner: str) -> list[Calibration]:
        """An owner's calibrations, by name."""
        wanted = _ALL.where(CalibrationRow.owner == owner).order_by(CalibrationRow.name)
        with self._database.read() as connection:
            return [_calibration(row) for row in connection.execute(wanted)]

    def delete(self, owner: str, name: str) -> bool:
        """Forget a calibration; False where there is none."""
        with self._database.write() as connection:
            return connection.execute(delete(CalibrationRow).where(*_is(owner, name))).rowcount == 1


_ALL = select(
    CalibrationRow.owner, CalibrationRow.name, CalibrationRow.kind,
    CalibrationRow.coefficients, CalibrationRow.created,
)  # fmt: skip


def _is(owner: str, name: str) -> tuple[Any, Any]:
    return CalibrationRow.owner == owner, CalibrationRow.name == name


def _calibration(row: tuple[str, str, str, Mapping[str, Any], float]) -> Calibration:
    return Calibration(*row)
