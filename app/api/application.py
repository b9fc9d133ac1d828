"""The WSGI application: settings in, Flask out."""

from flask import Flask
from flask_cors import CORS

from ..service import Service, import_everything
from ..service.tokens import Tokens
from ..settings import Settings, read_settings
from ..version import VERSION
from ..web import blueprint as page
from .access import guard
from .counts import SharedCounts, SharedFlag
from .documentation import Api, add_documentation, openapi_options
from .errors import register_error_handlers
from .keeping import keep_history
from .limits import Limits
from .metrics import Metrics
from .parser import LARGEST_BODY
from .resources import BLUEPRINTS
from .resources.models import ModelName
from .traffic import log_as_json, watch_traffic


def create_app(settings: Settings | None = None) -> Flask:
    """The service as one WSGI application; settings come from the environment unless given."""
    settings = settings or read_settings()
    import_everything()
    app = Flask("llm_estimate", static_folder=None)
    app.config.update(openapi_options(VERSION), MAX_CONTENT_LENGTH=LARGEST_BODY)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["settings"] = settings
    app.extensions["metrics"] = metrics = Metrics(SharedCounts())
    app.extensions["store_answered"] = SharedFlag()
    app.extensions["service"] = service = Service(settings, metrics)
    keep_history(app, settings, service.store)
    service.store.prepare()
    metrics.watch_caches(service.lookup.caches())
    app.extensions["limits"] = Limits(settings)
    guard(app, settings, Tokens(settings.token, service.stored_tokens))
    log_as_json()
    watch_traffic(app, metrics, settings.access_log)
    register_error_handlers(app)
    app.url_map.converters["model"] = ModelName
    api = Api(app)
    for blueprint in BLUEPRINTS:
        api.register_blueprint(blueprint)
    add_documentation(app)
    app.register_blueprint(page)
    if settings.cors_origins:
        CORS(app, origins=list(settings.cors_origins), expose_headers=["X-Request-ID"])
    return app
