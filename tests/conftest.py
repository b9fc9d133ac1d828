"""Fixtures that any test may ask for."""

from .servers import database_url, postgresql, redis_server, redis_url

__all__ = ["database_url", "postgresql", "redis_server", "redis_url"]
