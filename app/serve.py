"""Serving through gunicorn: its options in one place, whoever starts it."""

import gc
import os
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from .refusals import refuse_in_our_shape
from .settings import Settings
from .stopping import stop_gently


def gunicorn_options(settings: Settings) -> dict[str, Any]:
    """Options for gunicorn: the application loaded once, forked to a worker per core, threads in each."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return {
        "bind": f"{host}:{settings.port}",
        "workers": settings.workers or os.cpu_count() or 1,
        "threads": settings.threads,
        "worker_class": f"{__package__}.stopping.Worker",
        "preload_app": True,
        "max_requests": 0,
        "keepalive": 15,
        "graceful_timeout": 10,
        "control_socket_disable": True,
        "limit_request_line": 8190,
        "limit_request_fields": 100,
        "limit_request_field_size": 8190,
        "when_ready": _before_the_first_fork,
    }


def _before_the_first_fork(server: Any) -> None:
    """What was loaded by now is never collected, so workers go on sharing it; and a gentle end is set up."""
    stop_gently(server)
    refuse_in_our_shape()
    gc.collect()
    gc.freeze()


class _Server(BaseApplication):  # type: ignore[misc]
    """gunicorn around an application that exists already."""

    def __init__(self, app: Flask, options: dict[str, Any]) -> None:
        self.application = app
        self.options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self.options.items():
            if name in self.cfg.settings:  # older versions lack some
                self.cfg.set(name, value)

    def load(self) -> Flask:
        return self.application


def serve(app: Flask, settings: Settings) -> None:
    """Serve until told to stop."""
    _Server(app, gunicorn_options(settings)).run()
