"""/openapi.json from the schemas that validate, and /docs: Swagger UI out of its wheel, no other host."""

from pathlib import Path
from typing import Final

import flask_smorest
import flask_swagger_ui
from flask import Blueprint, Flask, Response, send_from_directory

from .errors import ErrorSchema

_FILES: Final = Path(flask_swagger_ui.__file__).parent / "dist"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>llm-estimate: HTTP interface</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START: Final = """SwaggerUIBundle({url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true,
  tryItOutEnabled: true, validatorUrl: null, presets: [SwaggerUIBundle.presets.apis]});
"""


class Api(flask_smorest.Api):  # type: ignore[misc]
    """flask-smorest with our error shape documented; raising and rendering errors is done by `errors`."""

    ERROR_SCHEMA = ErrorSchema

    def _register_error_handlers(self) -> None:
        """Nothing: the application has one maker of errors already."""


pages = Blueprint("pages", __name__)


@pages.get("/docs")
def page() -> Response:
    """The page that renders /openapi.json."""
    return _with_policy(Response(_PAGE, content_type="text/html; charset=utf-8"))


@pages.get("/docs/start.js")
def start() -> Response:
    """The three lines that start it."""
    return _with_policy(Response(_START, content_type="text/javascript; charset=utf-8"))


@pages.get("/docs/<path:name>")
def file(name: str) -> Response:
    """Scripts and styles as the wheel ships them."""
    return _with_policy(send_from_directory(_FILES, name, max_age=86400))


def _with_policy(reply: Response) -> Response:
    reply.headers["Content-Security-Policy"] = _POLICY
    return reply


def openapi_options(version: str) -> dict[str, object]:
    """The application's configuration for flask-smorest."""
    return {
        "API_TITLE": "llm-estimate",
        "API_VERSION": version,
        "OPENAPI_VERSION": "3.1.0",
        "OPENAPI_URL_PREFIX": "/",
        "OPENAPI_JSON_PATH": "openapi.json",
        "API_SPEC_OPTIONS": {
            "info": {"description": "GPU memory of large language models, from their config.json."},
            "servers": [{"url": "/"}],
            "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
        },
    }


def add_documentation(app: Flask) -> None:
    """Serve the page."""
    app.register_blueprint(pages)
