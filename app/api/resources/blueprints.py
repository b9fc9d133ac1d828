"""Blueprints with our strict parser, and the service of the running application."""

from typing import cast

import flask_smorest
from flask import current_app

from ...service import Service
from ..parser import StrictParser


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """flask-smorest's, with strict reading; wrong input is 400 in the documentation too."""

    ARGUMENTS_PARSER = StrictParser()
    ARGUMENTS_PARSER.DEFAULT_VALIDATION_STATUS = 400


def service() -> Service:
    """The one service of this application."""
    return cast(Service, current_app.extensions["service"])
