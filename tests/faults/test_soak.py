"""`make soak`, shortened: varied requests, wrong ones too, no error, and memory that stays flat."""

from pathlib import Path

import pytest

from bench.load import CONNECTIONS, serving
from bench.soak import MOST_GROWTH, soak

pytestmark = pytest.mark.slow
REQUESTS = 12_000


def test_many_requests_no_error_and_flat_memory(tmp_path: Path) -> None:
    # One worker: of two, one may get next to nothing of a short soak, and fill its caches late.
    with serving("server.py", log=tmp_path / "service.log", workers=1) as running:
        found = soak(running.address, running.pid, REQUESTS, CONNECTIONS, print)
    assert found.broken == 0
    assert found.unexpected() == {}
    assert found.growth <= MOST_GROWTH
    assert "Traceback" not in (tmp_path / "service.log").read_text()
