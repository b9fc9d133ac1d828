"""Calibrations under names, each of one owner: kept, listed, put into requests that name one."""

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, Protocol

from ..errors import UnknownName, invalid
from ..messages import Language
from .answer import Style
from .calibration import calibrate
from .calibration_answer import render_calibration
from .calibration_use import plain, unknown
from .lookup import Lookup

Values = Mapping[str, Any]

LOCAL: Final = "local"  # the owner where nobody else can ask: the command line, Python

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Kept(Protocol):
    """A calibration as the store has it; `created` is [s] since 1970."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def coefficients(self) -> Mapping[str, Any]: ...
    @property
    def created(self) -> float: ...


class CalibrationStore(Protocol):
    """Where calibrations are kept; every method raises `StoreDown`."""

    def put(self, owner: str, name: str, kind: str, coefficients: Mapping[str, Any]) -> Kept:
        """Keep coefficients; those that the owner had under the name are replaced."""

    def get(self, owner: str, name: str) -> Kept | None:
        """An owner's calibration of a name."""

    def list(self, owner: str) -> Sequence[Kept]:
        """An owner's calibrations, by name."""

    def delete(self, owner: str, name: str) -> bool:
        """Forget a calibration; False where there is none."""


class Calibrations:
    """The calibrations of one service; nothing of the store is touched before a name is asked for."""

    def __init__(self, lookup: Lookup, store: Callable[[], CalibrationStore]) -> None:
        self._lookup = lookup
        self._store = store

    def calibrate(self, values: Values, language: Language = "en", owner: str = LOCAL) -> dict[str, Any]:
        """The answer of `POST /api/calibrate`; with a name the corrections are kept."""
        name = values.get("name")
        if name is not None:
            check_name(name)
        found = calibrate(values, self._lookup)
        if name is not None:
            self._store().put(owner, name, found.calibration.task, plain(found.calibration))
        return render_calibration(found, Style(language), kept=name is not None)

    def find(self, name: str, owner: str = LOCAL) -> dict[str, Any]:
        """The answer of `GET /api/calibrations/{name}`; raises `UnknownName` with the closest names."""
        found = self._store().get(owner, name) if _NAME.fullmatch(name) else None
        if found is None:
            raise self._unknown(name, owner)
        return _described(found)

    def every(self, owner: str = LOCAL) -> dict[str, Any]:
        """The answer of `GET /api/calibrations`: an owner's, by name."""
        found = [_described(each) for each in self._store().list(owner)]
        return {"calibrations": found, "total": len(found)}

    def delete(self, name: str, owner: str = LOCAL) -> None:
        """Forget one; raises `UnknownName`."""
        if not self._store().delete(owner, name):
            raise self._unknown(name, owner)

    def put_in(self, values: Values, owner: str = LOCAL) -> Values:
        """A request with the calibration that it names, where it names one; raises `UnknownName`."""
        name = values.get("calibration")
        if not isinstance(name, str):
            return values
        found = self.find(name, owner)
        return {**values, "calibration": {"name": found["name"], **found["coefficients"]}}

    def _unknown(self, name: str, owner: str) -> UnknownName:
        names = [each.name for each in self._store().list(owner)]
        return unknown(name, get_close_matches(name[:100], names, n=5, cutoff=0.3) or names)


def check_name(name: str) -> None:
    """Raises `InvalidRequest` unless a name is letters, digits, dots, dashes and underscores."""
    if not _NAME.fullmatch(name):
        raise invalid("name", "bad_calibration_name", name=name[:100])


def _described(found: Kept) -> dict[str, Any]:
    return {
        "name": found.name,
        "calculation_type": found.kind,
        "created": round(found.created, 3),
        "coefficients": dict(found.coefficients),
    }
