"""Blueprints with our strict parser, and the service of the running application."""

from collections.abc import Mapping
from typing import Any, cast

import flask_smorest
from flask import current_app

from ...service import Service
from ..owners import owner_of
from ..parser import StrictParser


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """flask-smorest's, with strict reading; wrong input is 400 in the documentation too."""

    ARGUMENTS_PARSER = StrictParser()
    ARGUMENTS_PARSER.DEFAULT_VALIDATION_STATUS = 400


def service() -> Service:
    """The one service of this application."""
    return cast(Service, current_app.extensions["service"])


def calibrated(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """A request with the asker's calibration that it names, where it names one; raises `UnknownName`."""
    if not isinstance(values.get("calibration"), str):
        return values
    return service().calibrations.put_in(values, owner_of() or "")
