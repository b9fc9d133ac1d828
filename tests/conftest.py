"""Fixtures that any test may ask for."""

import signal

from .servers import database_url, postgresql, redis_server, redis_url

__all__ = ["database_url", "postgresql", "redis_server", "redis_url"]


def pytest_configure() -> None:
    """A run that is ended from outside takes its servers along, as one that is interrupted does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
