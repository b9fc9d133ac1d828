"""Fixtures that any test may ask for."""

import os
import signal

import pytest
from hypothesis import settings

from .servers import database_url, postgresql, redis_server, redis_url

__all__ = ["database_url", "postgresql", "redis_server", "redis_url"]

# What is drawn is the same in every run, however busy the machine is, so that a change is judged by what it
# changed; `make fuzz` draws anew, and what it finds becomes a test of its own.
settings.register_profile("steady", derandomize=True, deadline=None, database=None)
settings.register_profile("searching", deadline=None, database=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


def pytest_configure(config: pytest.Config) -> None:
    """A run that is ended from outside takes its servers along, as one that is interrupted does.

    Processes that share a run out are ended so at its end, when nothing of theirs is left.
    """
    if not hasattr(config, "workerinput"):
        signal.signal(signal.SIGTERM, signal.default_int_handler)
